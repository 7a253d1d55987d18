"""Starts the pump before the tank is full: the more often it has started, the later."""

import wit_world
from wit_world.imports.schema_MODULE_types import Mutation_SetPump, Pump, SetPumpArgs, Step_Mutate


class WitWorld(wit_world.WitWorld):
    def plan(self, cycle, memory):
        enough = min(1.2 + 0.1 * memory.starts, 1.8)
        if memory.pump == Pump.ON or memory.level <= enough:
            return []
        return [Step_Mutate(Mutation_SetPump(SetPumpArgs(Pump.ON)))]
