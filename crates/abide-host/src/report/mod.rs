//! A report on objects for a person: what is in force, what was decided, denied and overridden, and whether the log holds.
//!
//! [`Ground::open`] verifies the log, [`Ground::report`] gathers it in one pass over each lineage; [`Report::to_html`] is one
//! page that needs nothing beside it: no network, no script. Everything out of the log is escaped where it is written.

mod gather;
mod ground;
mod page;
mod plot;

use std::collections::BTreeMap;
use std::sync::Arc;

use abide_core::record::json::micro_json;
use abide_core::time::{Span, Timestamp};
use serde_json::{Value as Json, json};

use crate::verify::Verified;

pub use ground::Ground;
pub use plot::{POINTS_MAX, Point};

/// Most rows of a table: the last ones, and of gaps the longest.
pub const ROWS_MAX: usize = 50;

/// What a page holds.
#[derive(Clone, Debug)]
pub struct Report {
    /// The host's identity; `None` where record 0 is lost.
    pub host: Option<Arc<str>>,
    /// The time of the last tick that is told of; `None` where there is none.
    pub time: Option<Timestamp>,
    /// Whether the whole log holds.
    pub verified: Verified,
    /// Where it does not: how many records stand before the first thing that is wrong. The objects are told of by these alone.
    pub sound_records: Option<u64>,
    /// The objects, as they were named.
    pub objects: Vec<ObjectReport>,
    /// Those that were named and of which no sound record tells; none where the log verifies.
    pub absent: Vec<String>,
}

/// What it holds of an object.
#[derive(Clone, Debug)]
pub struct ObjectReport {
    /// The object as `show` has it.
    pub shown: Json,
    /// What was put in force, and when.
    pub versions: Vec<Version>,
    /// By what was decided and by which rule: how often, and when last.
    pub decisions: BTreeMap<(String, String), (u64, Timestamp)>,
    /// What operators did.
    pub overrides: Rows,
    /// By the code of the check: denials recorded in full, those that were only counted, and what the last one said.
    pub denials: BTreeMap<&'static str, (u64, u64, String)>,
    /// The longest times without a record, the longest first.
    pub gaps: Vec<Gap>,
    /// Pauses, and resets of the clock.
    pub pauses: Rows,
    /// The slope over time: at most [`POINTS_MAX`] points; none where it has no bound.
    pub slope: Vec<Point>,
    /// The last decisions, each with its cause.
    pub last: Rows,
}

/// What is in force from a record on.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// The record's number.
    pub seq: u64,
    /// Its time.
    pub time: Timestamp,
    /// The schema's name and version.
    pub schema: String,
    /// The schema's digest.
    pub digest: String,
    /// The component's digest, where the schema has acts.
    pub behaviour: Option<String>,
}

/// A time without a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The last record before it.
    pub seq: u64,
    /// Its time.
    pub from: Timestamp,
    /// How long it was.
    pub span: Span,
}

/// The last rows of a table, and how many there are in all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// At most [`ROWS_MAX`], in the order of the lineage.
    pub rows: std::collections::VecDeque<Row>,
    /// With those that are left out.
    pub total: u64,
}

/// A record in a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The record's number.
    pub seq: u64,
    /// Its time.
    pub time: Timestamp,
    /// What it says.
    pub what: String,
    /// What led to it, where that is told.
    pub cause: String,
}

impl Rows {
    fn push(&mut self, row: Row) {
        if self.rows.len() == ROWS_MAX {
            self.rows.pop_front();
        }
        self.rows.push_back(row);
        self.total += 1;
    }

    /// How many are left out.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.total.saturating_sub(u64::try_from(self.rows.len()).unwrap_or(u64::MAX))
    }

    fn to_json(&self) -> Json {
        let row = |row: &Row| json!({ "seq": row.seq, "time": row.time.to_string(), "what": row.what, "cause": row.cause });
        json!({ "total": self.total, "rows": self.rows.iter().map(row).collect::<Vec<_>>() })
    }
}

impl Report {
    /// What `report --json` prints.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({
            "host": self.host.as_deref(),
            "time": self.time.map(|time| time.to_string()),
            "verification": self.verified.to_json(),
            "sound_records": self.sound_records,
            "absent": self.absent,
            "objects": self.objects.iter().map(ObjectReport::to_json).collect::<Vec<_>>(),
        })
    }
}

impl ObjectReport {
    fn to_json(&self) -> Json {
        let versions = self.versions.iter().map(|version| {
            json!({
                "seq": version.seq, "time": version.time.to_string(), "schema": version.schema,
                "digest": version.digest, "behaviour": version.behaviour,
            })
        });
        let decisions = self.decisions.iter().map(|((what, by), (count, last))| {
            json!({ "what": what, "by": by, "count": count, "last": last.to_string() })
        });
        let denials = self.denials.iter().map(|(code, (recorded, counted, last))| {
            json!({ "code": code, "recorded": recorded, "counted": counted, "last": last })
        });
        let gaps = self.gaps.iter().map(
            |gap| json!({ "after": gap.seq, "from": gap.from.to_string(), "span": gap.span.to_string() }),
        );
        let slope = self
            .slope
            .iter()
            .map(|point| json!([point.time.to_string(), micro_json(point.level), micro_json(point.bound)]));
        json!({
            "object": self.shown,
            "versions": versions.collect::<Vec<_>>(),
            "decisions": decisions.collect::<Vec<_>>(),
            "overrides": self.overrides.to_json(),
            "denials": denials.collect::<Vec<_>>(),
            "gaps": gaps.collect::<Vec<_>>(),
            "pauses": self.pauses.to_json(),
            "slope": slope.collect::<Vec<_>>(),
            "last": self.last.to_json(),
        })
    }
}
