import { componentize } from '@bytecodealliance/componentize-js';
import { readFile, writeFile } from 'node:fs/promises';

const { component } = await componentize(await readFile('app.js', 'utf8'), {
  witPath: 'wit',
  worldName: 'behaviour',
  // An act reaches nothing: with these, the component imports nothing of the kind.
  disableFeatures: ['stdio', 'random', 'clocks', 'http', 'fetch-event'],
});
await writeFile('../NAME.wasm', component);
