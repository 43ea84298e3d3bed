import { defineConfig } from 'twinwrite';
import { importMovie } from './definition';

export default defineConfig({ updates: [importMovie] });
