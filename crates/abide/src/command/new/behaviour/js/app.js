// Starts the pump before the tank is full: the more often it has started, the later.
// Integers of the schema are BigInts, and a step is { tag, val }.

export function plan(cycle, memory) {
  const enough = Math.min(1.2 + 0.1 * Number(memory.starts), 1.8);
  if (memory.pump === 'on' || memory.level <= enough) return [];
  return [{ tag: 'mutate', val: { tag: 'set-pump', val: { to: 'on' } } }];
}
