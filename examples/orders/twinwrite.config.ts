import { defineConfig } from 'twinwrite';
import { orders, placeOrder } from './definition';

export default defineConfig({ updates: [placeOrder], projections: [orders] });
