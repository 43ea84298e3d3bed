import { defineConfig } from 'twinwrite';
import { placeOrder } from './definition';

export default defineConfig({ updates: [placeOrder] });
