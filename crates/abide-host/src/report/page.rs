//! The page: HTML with its style within, and nothing from elsewhere.
//!
//! INVARIANT: what came out of the log is only ever spliced by `(…)`, which escapes it; the one exception is the style.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value as Json;

use super::plot::svg;
use super::{ObjectReport, ROWS_MAX, Report, Rows};
use crate::verify::Verified;

/// On a narrow screen, what records say goes below their numbers and times; other tables are pushed sideways, and never the page. Paper is white, whatever the screen is.
const STYLE: &str = "\
:root{--ink:#1b1f24;--paper:#fff;--faint:#57606a;--rule:#d8dee4;--axis:#8c959f;--yes:#116329;--no:#a40e26;--level:#0969da}\
@media screen and (prefers-color-scheme:dark){:root{color-scheme:dark;--ink:#e6edf3;--paper:#0d1117;--faint:#9198a1;\
--rule:#30363d;--axis:#656c76;--yes:#56d364;--no:#ff7b72;--level:#58a6ff}}\
body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:var(--ink);background:var(--paper);\
overflow-wrap:break-word}h1,h2,h3{line-height:1.2}h2{margin-top:3rem;border-top:2px solid var(--rule);padding-top:1.5rem}\
a{color:var(--level)}table{border-collapse:collapse;margin:.5rem 0;width:100%}td,th{text-align:left;vertical-align:top;\
padding:.2rem .8rem .2rem 0;border-bottom:1px solid var(--rule)}td{overflow-wrap:anywhere;min-width:5.2rem}th{font-weight:600}\
.n{text-align:right;white-space:nowrap;min-width:0;width:1%}.t{white-space:nowrap;width:1%}.h{font:13px ui-monospace,monospace;\
overflow-wrap:anywhere}td.h,td.w{min-width:12rem}.note{color:var(--faint)}.yes{color:var(--yes)}.no{color:var(--no)}\
.plot{display:grid;grid-template-columns:auto 1fr;gap:.3rem .5rem;font-size:13px;color:var(--faint)}\
.y,.x{display:flex;justify-content:space-between;flex-wrap:wrap}.y{flex-direction:column;text-align:right}.x{grid-column:2}\
.x :last-child{margin-left:auto}svg{width:100%;height:11rem;overflow:visible}svg *{fill:none;stroke-width:1.5;vector-effect:non-scaling-stroke}\
.axis{stroke:var(--axis)}.level{stroke:var(--level)}.bound{stroke:var(--no);stroke-dasharray:6 4}\
@media(max-width:45rem){table{display:block;overflow-x:auto}.s,.s tbody{display:block}.s tr{display:flex;flex-wrap:wrap;\
border-bottom:1px solid var(--rule)}.s td,.s th{border:0;width:auto}.s td.w{flex-basis:100%}}@media print{h2{break-before:page}}";

impl Report {
    /// The page as HTML.
    #[must_use]
    pub fn to_html(&self) -> String {
        let ids: Vec<&str> = self.objects.iter().map(|object| text(&object.shown, "/id")).collect();
        let title = match (ids.as_slice(), self.absent.as_slice()) {
            ([only], []) => format!("Report on {only}"),
            ([], [only]) => format!("Report on {only}"),
            (told, absent) => format!("Report on {} objects", told.len() + absent.len()),
        };
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    title { (title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    h1 { (title) }
                    @if let (Some(host), Some(time)) = (&self.host, self.time) {
                        p { "Host " span.h { (host) } ", as of " (time) "." }
                    }
                    (verdict(&self.verified))
                    @if let Some(records) = self.sound_records { (ground(records, &self.absent)) }
                    @if ids.len() > 1 {
                        table {
                            tr { th { "Object" } th { "Schema" } th { "Status" } th.n { "Records" } }
                            @for (n, object) in self.objects.iter().enumerate() { (listed(n, object)) }
                        }
                    }
                    @for (n, object) in self.objects.iter().enumerate() {
                        (section(n, object, self.sound_records))
                    }
                }
            }
        };
        page.into_string()
    }
}

fn verdict(verified: &Verified) -> Markup {
    let left_out = verified.problems.len().saturating_sub(ROWS_MAX);
    let more = verified.problems_more.saturating_add(u64::try_from(left_out).unwrap_or(u64::MAX));
    html! {
        @if verified.is_verified() {
            p.yes { strong { "Verified" } ": the whole log is what this host wrote, and the law of every schema was kept." }
        } @else {
            p.no { strong { "Not verified" } ": the log is damaged, or is not what its host wrote." }
            ul { @for problem in verified.problems.iter().take(ROWS_MAX) { li { (problem.to_string()) } } }
            @if more > 0 { p.note { "and " (more) " more: `abide verify` names them." } }
        }
        p.note {
            (counted(verified.records, "record")) " of " (counted(verified.objects, "object"))
            @if let Some((size, root)) = verified.head { ", head of size " (size) ": " span.h { (root) } }
            @if verified.tail_bytes > 0 {
                "; " (verified.tail_bytes) " bytes behind the last whole commit: of one that is being written, or was when the host was killed"
            }
        }
    }
}

/// What a page on a log that does not verify stands on.
fn ground(records: u64, absent: &[String]) -> Markup {
    html! {
        @if records == 0 {
            p { "Nothing stands before that, so nothing can be told of its objects." }
        } @else {
            p {
                "What follows is told by the first " (counted(records, "record")) " alone: what stands before the first thing that is "
                "wrong. What came after it is left out, since it cannot be relied on."
            }
            @for id in absent { p.no { "None of these is a record of " strong { (id) } "." } }
        }
    }
}

fn listed(n: usize, object: &ObjectReport) -> Markup {
    html! {
        tr {
            td { a href=(format!("#object-{n}")) { (text(&object.shown, "/id")) } }
            td { (text(&object.shown, "/schema/name")) " " (text(&object.shown, "/schema/version")) }
            td { (text(&object.shown, "/status")) }
            td.n { (number(&object.shown, "/lineage/length")) }
        }
    }
}

fn section(n: usize, object: &ObjectReport, sound_records: Option<u64>) -> Markup {
    let shown = &object.shown;
    html! {
        h2 id=(format!("object-{n}")) { (text(shown, "/id")) }
        @if let Some(records) = sound_records {
            p.no { strong { "As it was" } ": as the first " (counted(records, "record")) " of the log leave it. How it is now cannot be told." }
        }
        @if let Some(intent) = shown.get("intent").and_then(Json::as_str) { p { (intent) } }
        (identity(shown))
        h3 { "In force" }
        table {
            tr { th.n { "Record" } th { "Since" } th { "Schema" } th { "Digest" } th { "Behaviour" } }
            @for version in &object.versions {
                tr {
                    td.n { (version.seq) } td.t { (version.time) } td { (version.schema) }
                    td.h { (version.digest) } td.h { (version.behaviour.as_deref().unwrap_or("none")) }
                }
            }
        }
        h3 { "Memory" }
        table {
            @for (name, value) in shown.get("memory").and_then(Json::as_object).into_iter().flatten() {
                tr { th { (name) } td { (plain(value)) } }
            }
        }
        h3 { "Decisions" }
        @if object.decisions.is_empty() { p.note { "None." } } @else {
            table {
                tr { th { "What" } th { "By" } th.n { "Count" } th { "Last" } }
                @for ((what, by), (count, last)) in &object.decisions {
                    tr { td { (what) } td { (by) } td.n { (count) } td.t { (last) } }
                }
            }
        }
        h3 { "Operators' overrides" }
        (rows(&object.overrides, false))
        h3 { "Denials" }
        @if object.denials.is_empty() { p.note { "None." } } @else {
            table {
                tr { th { "Check" } th.n { "Recorded" } th.n { "Counted" } th { "The last said" } }
                @for (code, (recorded, counted, last)) in &object.denials {
                    tr { td { (code) } td.n { (recorded) } td.n { (counted) } td.w { (last) } }
                }
            }
        }
        h3 { "Gaps in time" }
        p.note { "The longest times without a record." }
        table {
            tr { th.n { "After record" } th { "From" } th { "For" } }
            @for gap in &object.gaps { tr { td.n { (gap.seq) } td.t { (gap.from) } td { (gap.span) } } }
        }
        p.note { "Pauses of the host, and resets of its clock:" }
        (rows(&object.pauses, false))
        h3 { "Slope" }
        @if object.slope.is_empty() { p.note { "It has no bound." } } @else {
            (svg(&object.slope))
            p.note { "The level over time; dashed, the bound." }
        }
        h3 { "Last decisions" }
        (rows(&object.last, true))
    }
}

fn identity(shown: &Json) -> Markup {
    let labels = shown.get("context").and_then(Json::as_object);
    let operators = shown.pointer("/policy/operators").and_then(Json::as_array);
    html! {
        table {
            tr { th { "Status" } td { (text(shown, "/status")) } }
            @for (label, value) in labels.into_iter().flatten() { tr { th { (label) } td { (plain(value)) } } }
            @if let Some(parent) = shown.get("parent").and_then(Json::as_str) { tr { th { "Parent" } td.h { (parent) } } }
            @for operator in operators.into_iter().flatten() {
                tr { th { "Operator" } td { (text(operator, "/name")) " " span.h { (text(operator, "/key")) } } }
            }
            tr { th { "Genesis" } td.h { (text(shown, "/lineage/genesis")) } }
            tr { th { "Head" } td.h { (text(shown, "/lineage/head")) } }
            tr { th { "Records" } td { (number(shown, "/lineage/length")) } }
            tr { th { "Last change" } td { (text(shown, "/changed_at")) } }
        }
    }
}

fn rows(rows: &Rows, cause: bool) -> Markup {
    html! {
        @if rows.rows.is_empty() { p.note { "None." } } @else {
            @if rows.left_out() > 0 {
                p.note { "The last " (rows.rows.len()) " of " (rows.total) "; `abide lineage` shows all." }
            }
            table.s {
                tr { th.n { "Record" } th { "Time" } th { "What" } @if cause { th { "Cause" } } }
                @for row in &rows.rows {
                    tr {
                        td.n { (row.seq) } td.t { (row.time) } td.w { (row.what) }
                        @if cause { td.w { (row.cause) } }
                    }
                }
            }
        }
    }
}

fn text<'j>(json: &'j Json, pointer: &str) -> &'j str {
    json.pointer(pointer).and_then(Json::as_str).unwrap_or_default()
}

fn number(json: &Json, pointer: &str) -> u64 {
    json.pointer(pointer).and_then(Json::as_u64).unwrap_or_default()
}

fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A value for a cell: texts without quotes, and what is long cut short.
fn plain(value: &Json) -> String {
    const MOST: usize = 400;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST - 1).chain(['…']).collect() }
}
