//! One pass over a lineage, for all that a report tells of it.

use abide_core::object::Object;
use abide_core::record::{Caller, Event, Hash, Record};
use abide_core::schema::RuleIx;

use super::plot::{Point, thinned};
use super::{Gap, ObjectReport, ROWS_MAX, Row, Rows, Version};
use crate::history::{fold, is_outside};
use crate::host::HostError;
use crate::view::{Lineage, View, by, describe, mutation_name, rule_name};

/// Gathers what a report tells of an object.
pub(super) fn object(view: &View, live: &Object) -> Result<ObjectReport, HostError> {
    let mut gather = Gather {
        out: ObjectReport {
            shown: view.show(live),
            versions: Vec::new(),
            decisions: Default::default(),
            overrides: Rows::default(),
            denials: Default::default(),
            gaps: Vec::new(),
            pauses: Rows::default(),
            slope: Vec::new(),
            last: Rows::default(),
        },
        points: Vec::new(),
        asked: None,
        before: None,
    };
    let mut object = None;
    for link in view.records(Lineage::of(live))? {
        let link = link?;
        if let Some(before) = &object {
            gather.slope(before, &link.record);
        }
        fold(&mut object, live, &link);
        if let Some(after) = &object {
            gather.slope(after, &link.record);
            gather.record(after, &link.record);
        }
    }
    // The level goes on to rise after the last record.
    if let Some(bucket) = object.as_ref().and_then(|object| object.state.bucket) {
        let now = bucket.at(view.time());
        gather.points.push(Point { time: now.at, level: now.level, bound: now.capacity });
    }
    gather.out.slope = thinned(gather.points);
    Ok(gather.out)
}

struct Gather {
    out: ObjectReport,
    points: Vec<Point>,
    /// The last record of what came from outside, in words.
    asked: Option<String>,
    before: Option<Gap>,
}

impl Gather {
    fn slope(&mut self, object: &Object, record: &Record) {
        if let Some(bucket) = object.state.bucket {
            let now = bucket.at(record.time);
            let point = Point { time: record.time, level: now.level, bound: now.capacity };
            if self.points.last() != Some(&point) {
                self.points.push(point);
            }
        }
    }

    fn record(&mut self, object: &Object, record: &Record) {
        self.gap(record);
        let schema = &object.schema;
        let row = |cause: String| Row {
            seq: record.seq,
            time: record.time,
            what: describe(record, Some(schema)),
            cause,
        };
        match &record.event {
            Event::Genesis(_) => self.version(object, record),
            Event::Mutation(mutated) => {
                let what = mutation_name(schema, mutated.mutation).to_owned();
                if is_outside(&mutated.caller) {
                    if matches!(mutated.caller, Caller::Operator(_)) {
                        self.out.overrides.push(row(String::new()));
                    }
                    let by = by(&mutated.caller, mutated.rule, schema);
                    self.asked = Some(format!("record {}: `{what}` by {by}", record.seq));
                } else {
                    let by = by(&mutated.caller, mutated.rule, schema);
                    self.decided(what, by, record);
                    self.out.last.push(row(self.cause(object, mutated.rule)));
                }
            }
            Event::Denial(denied) => {
                let denials = self.out.denials.entry(denied.reason.code.name()).or_default();
                denials.0 += 1;
                denials.2 = denied.reason.message.to_string();
            }
            Event::Denials(counted) => {
                for one in counted {
                    self.out.denials.entry(one.key.code.name()).or_default().1 += one.count;
                }
            }
            Event::Spawn(spawned) => self.step("spawn", spawned.rule, object, record, row),
            Event::Sleep { rule, .. } => self.step("sleep", *rule, object, record, row),
            Event::Retry { rule, .. } => self.step("retry", *rule, object, record, row),
            Event::Terminate(rule) => self.step("terminate", *rule, object, record, row),
            Event::Quarantine => {
                self.decided("quarantine".to_owned(), "its denials".to_owned(), record);
                self.out.last.push(row("too many denials of its own doing".to_owned()));
            }
            Event::Release(_) | Event::Seal(_) => self.out.overrides.push(row(String::new())),
            Event::Policy(_) => self.out.overrides.push(row("the policy of its manifest or keys".to_owned())),
            Event::Upgrade(_) => {
                self.version(object, record);
                self.out.overrides.push(row(String::new()));
            }
            Event::Pause { .. } | Event::Clock { .. } => self.out.pauses.push(row(String::new())),
            _ => {}
        }
    }

    fn step(
        &mut self,
        what: &str,
        rule: RuleIx,
        object: &Object,
        record: &Record,
        row: impl Fn(String) -> Row,
    ) {
        self.decided(what.to_owned(), format!("rule `{}`", rule_name(&object.schema, rule)), record);
        self.out.last.push(row(self.cause(object, Some(rule))));
    }

    fn decided(&mut self, what: String, by: String, record: &Record) {
        let counted = self.out.decisions.entry((what, by)).or_insert((0, record.time));
        *counted = (counted.0 + 1, record.time);
    }

    /// The rule's guard, and what came from outside last.
    fn cause(&self, object: &Object, rule: Option<RuleIx>) -> String {
        let rule = rule.and_then(|ix| object.schema.rules.get(usize::from(ix.0)));
        let guard = rule.map(|rule| format!("when {}", rule.when.source()));
        let asked = self.asked.as_ref().map(|asked| format!("after {asked}"));
        guard.into_iter().chain(asked).collect::<Vec<_>>().join("; ")
    }

    fn version(&mut self, object: &Object, record: &Record) {
        let schema = &object.schema;
        self.out.versions.push(Version {
            seq: record.seq,
            time: record.time,
            schema: format!("{} {}", schema.name, schema.version),
            digest: Hash(schema.digest).to_string(),
            behaviour: object.behaviour.map(|behaviour| behaviour.component.to_string()),
        });
    }

    fn gap(&mut self, record: &Record) {
        let last = self.before.replace(Gap { seq: record.seq, from: record.time, span: Default::default() });
        let Some(last) = last else { return };
        let gap = Gap { span: record.time.since(last.from), ..last };
        let gaps = &mut self.out.gaps;
        let place = gaps.partition_point(|other| other.span >= gap.span);
        if gap.span.0 > 0 && place < ROWS_MAX / 5 {
            gaps.insert(place, gap);
            gaps.truncate(ROWS_MAX / 5);
        }
    }
}
