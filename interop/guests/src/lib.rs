//! Nothing: each example is a component.
