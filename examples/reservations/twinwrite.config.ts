import { defineConfig } from 'twinwrite';
import { cancel, confirm, expire, reservations, reserve } from './definition';

export default defineConfig({
  updates: [reserve, confirm, cancel, expire],
  projections: [reservations],
});
