// Loads every entry that package.json exports, by import and by require, and tells what each gives by name.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const manifest = require('twinwrite/package.json');
const entries = {};
for (const key of Object.keys(manifest.exports).filter((path) => path !== './package.json')) {
  const specifier = `twinwrite${key.slice(1)}`;
  const required = require(specifier);
  const imported = await import(specifier);
  const named = Object.keys(imported).filter(
    (name) => !['default', 'module.exports'].includes(name),
  );
  entries[key] = {
    required: Object.keys(required).sort(),
    imported: named.filter((name) => name !== '__esModule').sort(),
    // One copy: an error that a required module throws is an instance of the class that was imported.
    same: named.every((name) => imported[name] === required[name]),
  };
}
process.stdout.write(JSON.stringify(entries));
