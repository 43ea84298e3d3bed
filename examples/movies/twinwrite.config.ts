import { defineConfig } from 'twinwrite';
import { importMovie, movies } from './definition';

export default defineConfig({ updates: [importMovie], projections: [movies] });
