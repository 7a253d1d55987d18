//! A schema whose names and values are as awkward as a schema allows.

pub(super) const AWKWARD: &str = r##"
schema: abide/v1
name: list
version: 1.0.0-rc.1+build.7
intent: "Two lines\nand what no text of WIT bears: \u202e \u0007 \u0149."
fields:
  memory: { type: string, enum: ["", "Low High", lowHigh, low_high, LOW-HIGH, "é", "日本", "1st", "self", "a\u202eb"], default: "" }
  option: { type: string, enum: [list, option], default: list }
  a__b: { type: integer, enum: [1, 2], default: 1 }
  a_b: { type: boolean, default: true }
  a_b_: { type: boolean, default: true, description: "with */ and\r\ntwo lines" }
  pm2_5: { type: number, default: 0.5, unit: ug/m3, exclusiveMinimum: 0, multipleOf: 0.5 }
  nothing: { type: object, properties: {}, default: {} }
  place: { type: object, properties: { level: { type: string, enum: [on, off] }, at: { type: object, properties: { x: { type: number, unit: m } }, required: [x] } }, required: [level], nullable: true }
  switch: { type: string, enum: [on, off], default: off }
  others: { type: array, maxItems: 3, default: [], items: { type: object, nullable: true, properties: { x: { type: number, unit: m } }, required: [x] } }
  by_name: { type: object, maxProperties: 2, default: {}, additionalProperties: { type: array, maxItems: 2, items: { type: string, format: byte, maxLength: 8 } } }
mutations:
  step: { from: [behaviour], args: { step: { type: string, enum: [one, two] }, args: { $ref: "#/fields/switch" } } }
  self: { from: [behaviour, rule], args: { to: { $ref: "#/fields/place" }, empty: { $ref: "#/fields/nothing", default: {} } } }
  set_: { from: [behaviour] }
  set: { from: [behaviour], args: { at: { type: string, format: date-time, nullable: true }, within: { type: string, format: duration, default: 90m } } }
  hidden: { from: [operator], args: { secret: { type: string, enum: [never, shown] } } }
rules:
  - { name: r1, when: self.a_b, then: { act: memory } }
  - { name: r2, when: self.a_b, then: { act: from-here }, description: of the second, priority: 2 }
  - { name: r3, when: self.a_b, then: { act: from_here } }
  - { name: r4, when: self.a_b, then: { act: import } }
"##;
