//! Sources: lines to observations, replayed and live.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use abide_core::document::{Diagnostics, Reader, parse};
use abide_core::schema::Schema;
use abide_core::value::Value;
use abide_host::source::{
    Cursor, Live, LiveCursor, LiveEvent, Mapping, Observation, Reading, Recipient, Replay, ResumeError,
    Source, SourceConfig, SourceKind, TimeFormat,
};
use proptest::prelude::*;

const GUARD: &str = r##"
schema: abide/v1
name: guard
version: 1.0.0
fields:
  temperature: { type: number, unit: Cel, minimum: -60, maximum: 60 }
  at: { type: string, format: date-time, nullable: true, default: null }
  wind: { type: number, unit: m/s, minimum: 0, maximum: 110, nullable: true, default: null }
  count: { type: integer, unit: m, default: 0 }
  label: { type: string, maxLength: 20, default: "" }
  open: { type: boolean, default: false }
mutations:
  observe:
    from: [observation]
    args: { value: { $ref: "#/fields/temperature" }, at: { $ref: "#/fields/at" } }
    set: { temperature: args.value, at: args.at }
  blow: { from: [observation], args: { value: { $ref: "#/fields/wind" } }, set: { wind: args.value } }
  tell:
    from: [observation]
    args:
      count: { type: integer, unit: m, default: 5 }
      label: { $ref: "#/fields/label" }
      open: { $ref: "#/fields/open" }
    set: { count: args.count, label: args.label, open: args.open }
"##;

const WEATHER: &str = "
path: weather.csv
missing: [NA, '']
time: t
object: { column: station, lowercase: true }
observations:
  - { mutation: observe, args: { value: { column: temp, unit: '[degF]' }, at: t } }
  - { mutation: blow, args: { value: { column: wind, unit: '[mi_i]/h', missing: null } } }
";

fn source_at(name: &str, kind: SourceKind, properties: &str, base: &Path) -> Source {
    let node = parse(properties).unwrap();
    let out = Diagnostics::default();
    let config = SourceConfig::read(name.into(), kind, Reader::new(&node, "a source", &out).unwrap(), base);
    let objects = ["ewr", "jfk"].map(Arc::from).into();
    let recipients = [Recipient { component: "guard".into(), schema: schema(), objects }];
    let mapping = config.as_ref().and_then(|config| Mapping::bind(config, &recipients, &out));
    assert!(out.is_empty(), "{:?}", out.into_sorted());
    Source { config: config.unwrap(), mapping: Arc::new(mapping.unwrap()) }
}

fn source(kind: SourceKind, properties: &str) -> Source {
    source_at("weather", kind, properties, Path::new("/"))
}

fn replay(properties: &str, text: &str) -> Replay {
    Replay::of(&[source(SourceKind::Csv, properties)], vec![text.as_bytes().to_vec()]).unwrap()
}

fn json_replay(properties: &str, text: &str) -> Replay {
    Replay::of(&[source(SourceKind::JsonLines, properties)], vec![text.as_bytes().to_vec()]).unwrap()
}

fn schema() -> Arc<Schema> {
    static SCHEMA: OnceLock<Arc<Schema>> = OnceLock::new();
    Arc::clone(SCHEMA.get_or_init(|| Arc::new(Schema::load(GUARD).unwrap().0)))
}

/// A reading as a person reads it.
fn shown(reading: &Reading) -> String {
    let observations: Vec<_> = reading.observations.iter().map(shown_observation).collect();
    format!("{} {}:{} {}", reading.time, reading.source, reading.line, observations.join(", "))
}

fn shown_observation(observation: &Observation) -> String {
    let schema = schema();
    let mutation = &schema.mutations[usize::from(observation.mutation.0)];
    let args: Vec<_> = mutation
        .args
        .fields
        .iter()
        .zip(&observation.args)
        .map(|(field, value)| format!("{}={}", field.name, field.ty.to_json(value)))
        .collect();
    format!("{}.{}({})", observation.object, mutation.name, args.join(" "))
}

fn all(replay: Replay) -> String {
    replay.map(|reading| shown(&reading)).collect::<Vec<_>>().join("\n")
}

fn problems(replay: &Replay) -> String {
    replay.problems().first.iter().map(|p| format!("{p}\n  {}", p.help)).collect::<Vec<_>>().join("\n")
}

const T: [&str; 4] =
    ["2013-02-01T05:00:00Z", "2013-02-01T06:00:00Z", "2013-02-01T07:00:00Z", "2013-02-01T08:00:00Z"];

#[test]
fn rows_are_converted_and_merged_by_time() {
    let text = format!(
        "station,t,temp,wind,more\nEWR,{},28.94,19.56326,x\nEWR,{},NA,NA,\n\nJFK,{},32,1048.36058,x\nJFK,{},,0,y\n",
        T[0], T[2], T[0], T[1]
    );
    insta::assert_snapshot!(all(replay(WEATHER, &text)), @r#"
    2013-02-01T05:00:00Z weather:2 ewr.observe(at="2013-02-01T05:00:00Z" value=-1.7), ewr.blow(value=8.7455597504)
    2013-02-01T05:00:00Z weather:5 jfk.observe(at="2013-02-01T05:00:00Z" value=0.0), jfk.blow(value=468.659113683)
    2013-02-01T06:00:00Z weather:6 jfk.blow(value=0.0)
    2013-02-01T07:00:00Z weather:3 ewr.blow(value=null)
    "#);
}

#[test]
fn the_season_is_read_whole() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples/frost-guard/data/nyc-weather-2013-spring.csv");
    let properties = WEATHER.replace("time: t\n", "time: time_hour\n").replace("at: t }", "at: time_hour }");
    let properties = properties.replace("station", "origin").replace("wind,", "wind_speed,");
    let properties = properties.replace("lowercase: true", "map: { EWR: ewr, JFK: jfk, LGA: jfk }");
    let replay = replay(&properties, &fs::read_to_string(path).unwrap());
    assert_eq!((replay.len(), replay.problems().count), (6396, 0));
    let bogus: Vec<_> = replay
        .flat_map(|reading| reading.observations)
        .filter(|o| matches!(o.args[..], [Value::Num(wind)] if wind > 110.0))
        .map(|o| shown_observation(&o))
        .collect();
    assert_eq!(bogus, ["ewr.blow(value=468.659113683)"]);
}

#[test]
fn a_broken_line_is_said_and_stops_no_other() {
    let mut text = b"station,t,temp,wind\n".to_vec();
    for line in [
        "EWR,2013-02-01T05:00:00Z,30",
        "EWR,2013-02-01T05:00:00Z,30,1,2",
        "EWR,yesterday,30,1",
        "EWR,NA,30,1",
        "LGX,2013-02-01T05:00:00Z,30,1",
        ",2013-02-01T05:00:00Z,30,1",
        "\"EWR,2013-02-01T05:00:00Z,30,1",
        "EWR,2013-02-01T05:00:00,30,1",
        "EWR,9999-02-01T05:00:00Z,30,1",
    ] {
        text.extend(line.as_bytes());
        text.push(b'\n');
    }
    text.extend(b"EWR,\xff\xfe,30,1\r\n\"EWR\", 2013-02-01T05:00:00Z , 50 ,\"1\"");
    let replay = Replay::of(&[source(SourceKind::Csv, WEATHER)], vec![text]).unwrap();
    assert_eq!((replay.len(), replay.problems().count), (1, 10));
    insta::assert_snapshot!(problems(&replay));
    insta::assert_snapshot!(all(replay), @r#"2013-02-01T05:00:00Z weather:12 ewr.observe(at="2013-02-01T05:00:00Z" value=10.0), ewr.blow(value=0.44704)"#);
}

#[test]
fn what_is_not_of_its_type_is_left_to_admission() {
    let properties = format!(
        "{WEATHER}  - {{ mutation: tell, args: {{ count: {{ column: n, unit: km }}, label: l, open: {{ column: o }} }} }}\n"
    );
    let line = |temp: &str, n: &str, o: &str| {
        format!("station,t,temp,wind,n,l,o\nEWR,{},{temp},x,{n},x,{o}\n", T[0])
    };
    let args = |temp: &str, n: &str, o: &str| {
        let reading = replay(&properties, &line(temp, n, o)).next().unwrap();
        reading.observations.iter().flat_map(|o| o.args.clone()).collect::<Vec<_>>()
    };
    let text = |text: &str| Value::from(text);
    let found = args("warm", "1.5", "true");
    assert!(
        found.contains(&text("warm"))
            && found.contains(&Value::Int(1500))
            && found.contains(&Value::Bool(true))
    );
    // What is no whole number of metres stays what it is, and is denied as such.
    assert!(args("50", "0.0005", "maybe").contains(&Value::Num(0.5)));
    assert!(args("50", "0.0005", "maybe").contains(&text("maybe")));
    for not_a_number in ["inf", "NaN", "0x10", "1e999", "1,5"] {
        assert!(
            args(&format!("\"{not_a_number}\""), "1", "true").contains(&text(not_a_number)),
            "{not_a_number}"
        );
    }
}

#[test]
fn arguments_that_are_not_mapped_have_their_defaults() {
    let properties = "
path: x.csv
time: { column: t, format: unix }
object: { value: jfk }
observations: [{ mutation: tell, args: { label: { value: hi }, open: o } }]
";
    insta::assert_snapshot!(all(replay(properties, "t,o\n1359694800.5,true\n-1,false\n")), @r#"
    1969-12-31T23:59:59Z weather:3 jfk.tell(open=false count=5 label="hi")
    2013-02-01T05:00:00.5Z weather:2 jfk.tell(open=true count=5 label="hi")
    "#);
}

#[test]
fn json_lines_are_read_by_path_and_by_type() {
    let properties = "
path: x.jsonl
time: { column: when, format: unix_ms }
object: { column: /where/station }
observations:
  - { mutation: observe, args: { value: { column: air.temp, unit: K }, at: when } }
  - { mutation: blow, args: { value: wind.0 } }
";
    let text = r#"
{"when": 1359694800000, "where": {"station": "ewr"}, "air": {"temp": 273.15}, "wind": [3, 4]}
{"when": "1359694800001", "where": {"station": "jfk"}, "air": {"temp": "cold"}, "wind": null}
{"when": 1359694800002, "where": {"station": "jfk"}, "air": 7, "wind": ["3"]}
[1]
{"when": 1359694800003, "where": {"station": "jfk"}
{"when": 1359694800003, "where": {"station": 5}}
{"when": 1e300, "where": {"station": "jfk"}}
"#;
    let replay = json_replay(properties, text);
    insta::assert_snapshot!(problems(&replay));
    insta::assert_snapshot!(all(replay), @r#"
    2013-02-01T05:00:00Z weather:2 ewr.observe(at="2013-02-01T05:00:00Z" value=0.0), ewr.blow(value=3.0)
    2013-02-01T05:00:00.001Z weather:3 jfk.observe(at="2013-02-01T05:00:00.001Z" value="cold")
    2013-02-01T05:00:00.002Z weather:4 jfk.blow(value="3")
    "#);
}

#[test]
fn headers_are_checked_before_anything_runs() {
    let error = |text: &str| {
        let errors =
            Replay::of(&[source(SourceKind::Csv, WEATHER)], vec![text.as_bytes().to_vec()]).unwrap_err();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(
        [
            error("station,t,temperature,wind\n"),
            error("station,t,tmep,wind\nEWR,x,y,z\n"),
            error("station,t,temp,wind,t\n"),
            error("station,t,\"temp,wind\n"),
            error("EWR;2013;1;2"),
        ]
        .join("\n")
    );
    let ok = replay(WEATHER, "\u{feff}station ,\"t\",temp,wind\r\n");
    assert!(ok.is_empty() && ok.notes().is_empty() && ok.span().is_none());
    for empty in ["", "\n\n", " \r\n"] {
        let replay = replay(WEATHER, empty);
        assert_eq!((replay.len(), replay.notes()), (0, &["the source `weather` is empty".to_owned()][..]));
    }
}

#[test]
fn a_file_that_is_not_there_is_said_for_every_source() {
    let folder = tempfile::tempdir().unwrap();
    let sources = ["one", "two"].map(|name| source_at(name, SourceKind::Csv, WEATHER, folder.path()));
    let errors = Replay::open(&sources).unwrap_err();
    let shown: Vec<_> =
        errors.iter().map(|e| e.to_string().replace(folder.path().to_str().unwrap(), "")).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    the source `one` cannot read `/weather.csv`: No such file or directory (os error 2)
    the source `two` cannot read `/weather.csv`: No such file or directory (os error 2)
    ");
}

#[test]
fn a_line_is_bounded() {
    let line = |padding: usize| format!("station,t,temp,wind,x\nEWR,{},1,1,{}\n", T[0], "x".repeat(padding));
    let longest = (1 << 20) - "EWR,2013-02-01T05:00:00Z,1,1,".len();
    assert_eq!(replay(WEATHER, &line(longest)).len(), 1);
    let replay = replay(WEATHER, &line(longest + 1));
    assert_eq!(replay.len(), 0);
    insta::assert_snapshot!(problems(&replay), @r"
    `weather` line 2: the line has 1048577 bytes; at most 1048576 are read
      split it
    ");
}

#[test]
fn problems_are_counted_beyond_what_is_kept() {
    let replay = replay(WEATHER, &format!("station,t,temp,wind\n{}", "x\n".repeat(1000)));
    assert_eq!((replay.problems().first.len(), replay.problems().count), (100, 1000));
}

#[test]
fn times_are_read_in_many_ways() {
    let read =
        |format: &str, text: &str| TimeFormat::parse(format).unwrap().read(text).map(|t| t.to_string());
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(read("unix", "0"), some("1970-01-01T00:00:00Z"));
    assert_eq!(read("unix", "0.123456789"), some("1970-01-01T00:00:00.123456789Z"));
    assert_eq!(read("unix_ms", "-1.5"), some("1969-12-31T23:59:59.9985Z"));
    assert_eq!(read("%Y-%m-%d %H:%M", "2013-02-01 05:00"), some("2013-02-01T05:00:00Z"));
    assert_eq!(read("%Y-%m-%d", "2013-02-01"), some("2013-02-01T00:00:00Z"));
    assert_eq!(read("%Y-%m-%dT%H:%M%z", "2013-02-01T05:00+0100"), some("2013-02-01T04:00:00Z"));
    for bad in ["", "-", ".5", "1.", "1e3", "0.1234567890", "99999999999999999999", "١"] {
        let expected = if bad == "1." { some("1970-01-01T00:00:01Z") } else { None };
        assert_eq!(read("unix", bad), expected, "{bad}");
    }
    assert!(TimeFormat::parse("iso").is_err() && TimeFormat::parse("%!").is_err());
}

fn season() -> Vec<u8> {
    let mut text = b"station,t,temp,wind\n".to_vec();
    for hour in [5, 3, 3, 9, 7, 1, 5, 5, 2] {
        for station in ["EWR", "JFK", "??"] {
            text.extend(format!("{station},2013-02-01T0{hour}:00:00Z,{hour},NA\n").into_bytes());
        }
    }
    text
}

fn two_sources() -> [Source; 2] {
    ["a", "b"].map(|name| source_at(name, SourceKind::Csv, WEATHER, Path::new("/")))
}

#[test]
fn a_replay_goes_on_after_any_cursor() {
    let open = || Replay::of(&two_sources(), vec![season(), season()]).unwrap();
    let whole: Vec<_> = open().map(|r| shown(&r)).collect();
    assert_eq!(whole.len(), 36);
    let mut first = open();
    for taken in 0..=whole.len() {
        let cursor = Cursor::from_bytes(&first.cursor().to_bytes()).unwrap();
        assert_eq!((cursor, cursor.count), (first.cursor(), u64::try_from(taken).unwrap()));
        let mut again = open();
        again.resume(&cursor).unwrap();
        assert_eq!((again.remaining(), again.next_time()), (whole.len() - taken, first.next_time()));
        assert_eq!(again.map(|r| shown(&r)).collect::<Vec<_>>(), whole[taken..]);
        first.next();
    }
    assert!(Cursor::from_bytes(&[0; 47]).is_none() && Cursor::from_bytes(&[0; 49]).is_none());
}

#[test]
fn a_changed_input_is_refused() {
    let text = |lines: &[&str]| format!("station,t,temp,wind\n{}\n", lines.join("\n"));
    let (a, b) = ("EWR,2013-02-01T05:00:00Z,1,1", "EWR,2013-02-01T06:00:00Z,1,1");
    let mut replay_ab = replay(WEATHER, &text(&[a, b]));
    replay_ab.by_ref().take(2).for_each(drop);
    let cursor = replay_ab.cursor();
    let resume = |lines: &[&str]| replay(WEATHER, &text(lines)).resume(&cursor);
    let later = "EWR,2013-02-01T07:00:00Z,1,1";
    assert_eq!(resume(&[a, b, later]), Ok(()));
    assert_eq!(resume(&[b, later, a]), Ok(()));
    let earlier = "EWR,2013-02-01T04:00:00Z,1,1";
    assert!(matches!(resume(&[earlier, a, b]), Err(ResumeError::Changed { taken: 2, .. })));
    assert!(resume(&[a, &b.replace(",1,1", ",1,2")]).is_err());
    let errors = [resume(&[earlier, a, b]).unwrap_err().to_string(), resume(&[a]).unwrap_err().to_string()];
    insta::assert_snapshot!(errors.join("\n"));
}

proptest! {
    #[test]
    fn a_merge_is_stable_and_a_resume_is_the_same(
        hours in prop::collection::vec(0u8..10, 0..40),
        split in 0usize..41,
        taken in 0usize..41,
    ) {
        let line = |n: usize, hour: u8| format!("EWR,2013-02-01T0{hour}:00:00Z,{n},NA\n");
        let split = split.min(hours.len());
        let text = |part: &[u8], from: usize| {
            let lines: String = part.iter().enumerate().map(|(n, hour)| line(from + n, *hour)).collect();
            format!("station,t,temp,wind\n{lines}").into_bytes()
        };
        let open = || {
            let texts = vec![text(&hours[..split], 0), text(&hours[split..], split)];
            Replay::of(&two_sources(), texts).unwrap()
        };
        let mut expected: Vec<(u8, usize)> = hours.iter().enumerate().map(|(n, hour)| (*hour, n)).collect();
        expected.sort_by_key(|(hour, _)| *hour);
        let found: Vec<_> = open().map(|r| (r.source.to_string(), r.line)).collect();
        let place = |n: usize| if n < split { ("a".to_owned(), n + 2) } else { ("b".to_owned(), n - split + 2) };
        let expected: Vec<_> = expected.iter().map(|(_, n)| place(*n)).map(|(s, l)| (s, l as u64)).collect();
        prop_assert_eq!(&found, &expected);
        let mut first = open();
        first.by_ref().take(taken).for_each(drop);
        let mut again = open();
        again.resume(&first.cursor()).unwrap();
        prop_assert_eq!(again.cursor(), first.cursor());
        prop_assert_eq!(again.collect::<Vec<_>>(), first.collect::<Vec<_>>());
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut text = b"station,t,temp,wind\n".to_vec();
        text.extend(&bytes);
        let replay = Replay::of(&[source(SourceKind::Csv, WEATHER)], vec![text]).unwrap();
        let lines = bytes.split(|b| *b == b'\n').filter(|l| !l.iter().all(u8::is_ascii_whitespace)).count();
        prop_assert_eq!(replay.len() + usize::try_from(replay.problems().count).unwrap(), lines);
        prop_assert!(Replay::of(&[source(SourceKind::JsonLines, WEATHER)], vec![bytes]).is_ok());
    }
}

mod live {
    use super::*;

    /// Longer than anything here takes; a test that waits so long has failed.
    const LONG: Duration = Duration::from_secs(20);
    /// Long enough for something to come that should not.
    const SHORT: Duration = Duration::from_millis(200);
    const HEADER: &str = "station,t,temp,wind\n";

    fn line(temp: u32) -> String {
        format!("EWR,2013-02-01T05:00:00Z,{temp},NA\n")
    }

    struct Folder {
        folder: tempfile::TempDir,
    }

    impl Folder {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap() }
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("weather.csv")
        }

        fn source(&self) -> Source {
            source_at(
                "weather",
                SourceKind::Csv,
                &WEATHER.replace("\nmissing:", "\nmode: live\nmissing:"),
                self.folder.path(),
            )
        }

        fn append(&self, text: &str) {
            let mut file = OpenOptions::new().create(true).append(true).open(self.path()).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn start(&self, cursor: Option<LiveCursor>) -> Live {
            Live::start(self.source(), cursor, 4, None).unwrap()
        }
    }

    /// The line and the cursor of the next event, which is a reading.
    fn next(live: &Live) -> (u64, LiveCursor) {
        match live.next_within(LONG) {
            Some(LiveEvent::Reading(reading)) => (reading.line, reading.cursor),
            other => panic!("a reading was expected: {other:?}"),
        }
    }

    #[test]
    fn a_file_is_followed_and_a_part_of_a_line_waits() {
        let folder = Folder::new();
        folder.append(HEADER);
        folder.append(&line(50));
        folder.append("EWR,2013-02-01T06");
        let live = folder.start(None);
        let Some(LiveEvent::Reading(first)) = live.next_within(LONG) else { panic!("a reading") };
        assert_eq!(first.time.unwrap().to_string(), T[0]);
        assert_eq!(
            shown_observation(&first.observations[0]),
            format!("ewr.observe(at=\"{}\" value=10.0)", T[0])
        );
        assert!(live.next_within(SHORT).is_none());
        folder.append(":00:00Z,32,NA\n");
        assert_eq!(next(&live).0, 3);
        folder.append("nonsense\n\n");
        let Some(LiveEvent::Problem(problem, cursor)) = live.next_within(LONG) else { panic!("a problem") };
        assert_eq!((problem.line, cursor.line), (4, 4));
        insta::assert_snapshot!(problem, @"`weather` line 4: the line has 1 columns; the header has 4");
        folder.append(&line(1));
        assert_eq!(next(&live).0, 6);
    }

    #[test]
    fn after_a_restart_nothing_is_taken_twice_and_nothing_is_lost() {
        let folder = Folder::new();
        folder.append(HEADER);
        for n in 0..20 {
            folder.append(&line(n));
        }
        let mut cursor = None;
        let mut lines = Vec::new();
        while lines.len() < 20 {
            // The thread is ahead of what is taken; what it read and nobody took is read again.
            let live =
                folder.start(cursor.map(|c: LiveCursor| LiveCursor::from_bytes(&c.to_bytes()).unwrap()));
            for _ in 0..3.min(20 - lines.len()) {
                let (line, after) = next(&live);
                lines.push(line);
                cursor = Some(after);
            }
        }
        assert_eq!(lines, (2..=21).collect::<Vec<u64>>());
        let live = folder.start(cursor);
        assert!(live.next_within(SHORT).is_none());
    }

    #[test]
    fn a_file_that_was_rewritten_is_refused() {
        let folder = Folder::new();
        folder.append(&format!("{HEADER}{}{}", line(1), line(2)));
        let live = folder.start(None);
        let (_, first) = next(&live);
        let (_, second) = next(&live);
        drop(live);
        fs::write(folder.path(), format!("{HEADER}{}", line(1))).unwrap();
        assert!(Live::start(folder.source(), Some(first), 4, None).is_ok());
        let error = Live::start(folder.source(), Some(second), 4, None).unwrap_err().to_string();
        insta::assert_snapshot!(error.replace(folder.folder.path().to_str().unwrap(), ""));
        fs::write(folder.path(), format!("{HEADER}{}{}", line(3), line(4))).unwrap();
        assert!(Live::start(folder.source(), Some(first), 4, None).is_err());
    }

    #[test]
    fn a_column_that_is_not_there_is_said_at_the_start() {
        let folder = Folder::new();
        folder.append("station,t,temp\n");
        let error = Live::start(folder.source(), None, 4, None).unwrap_err().to_string();
        insta::assert_snapshot!(error, @"the source `weather` has no column `wind` in its header; the columns are `station`, `t` and `temp`");
        let nothing = Folder::new();
        assert!(Live::start(nothing.source(), None, 4, None).is_err());
    }

    #[test]
    fn a_header_may_come_late() {
        let folder = Folder::new();
        folder.append("");
        let live = folder.start(None);
        assert!(live.try_next().is_none());
        folder.append(HEADER);
        folder.append(&line(1));
        assert_eq!(next(&live).0, 2);
        let late = Folder::new();
        late.append("");
        let live = late.start(None);
        late.append("station,t,temp\nx\ny\n");
        assert!(
            matches!(live.next_within(LONG), Some(LiveEvent::Failed(message)) if message.contains("`wind`"))
        );
    }

    #[test]
    fn a_full_inbox_holds_the_source_and_a_stop_ends_it() {
        let folder = Folder::new();
        folder.append(HEADER);
        for n in 0..1000 {
            folder.append(&line(n));
        }
        let live = folder.start(None);
        assert_eq!(next(&live).0, 2);
        // Its thread waits to hand over an event that nobody takes; this ends it.
        drop(live);
    }

    #[test]
    fn a_fifo_ends_with_its_writers() {
        let folder = Folder::new();
        rustix::fs::mkfifoat(rustix::fs::CWD, folder.path(), rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        let live = folder.start(None);
        let mut writer = File::options().write(true).open(folder.path()).unwrap();
        write!(writer, "{HEADER}{}EWR,2013-02-01T06:00:00Z,2,NA", line(1)).unwrap();
        assert_eq!(next(&live).0, 2);
        drop(writer);
        assert_eq!(next(&live).0, 3);
        assert_eq!(live.next_within(LONG), Some(LiveEvent::End));
    }
}

mod messages {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use abide_host::broker::{Broker, Outgoing, Subscription, Take};
    use abide_host::effect::CallError;

    use super::*;

    /// Delivers what a test gives it, and nothing once nobody listens.
    #[derive(Default)]
    struct Post {
        take: Arc<Mutex<Option<Take>>>,
        asked: Mutex<Vec<(String, Option<String>)>>,
    }

    struct Listening(Arc<Mutex<Option<Take>>>);

    impl Drop for Listening {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = None;
        }
    }

    impl Broker for Post {
        fn subscribe(&self, subject: &str, group: Option<&str>, take: Take) -> Result<Subscription, String> {
            self.asked.lock().unwrap().push((subject.to_owned(), group.map(str::to_owned)));
            *self.take.lock().unwrap() = Some(take);
            Ok(Box::new(Listening(Arc::clone(&self.take))))
        }

        fn publish(&self, _: Outgoing<'_>, _: Duration) -> Result<(), CallError> {
            panic!("a source sends nothing")
        }

        fn request(&self, _: Outgoing<'_>, _: Duration) -> Result<Vec<u8>, CallError> {
            panic!("a source asks nothing")
        }
    }

    impl Post {
        fn deliver(&self, subject: &str, payload: &[u8]) {
            if let Some(take) = &mut *self.take.lock().unwrap() {
                take(subject, payload);
            }
        }
    }

    fn listen(post: &Post, properties: &str, cursor: Option<LiveCursor>) -> Live {
        let source = source(SourceKind::Messages, properties);
        Live::start(source, cursor, 4, Some(post)).unwrap()
    }

    fn taken(live: &Live) -> Vec<String> {
        let mut all = Vec::new();
        while let Some(event) = live.try_next() {
            match event {
                LiveEvent::Reading(reading) => {
                    let shown = reading.observations.iter().map(shown_observation).collect::<Vec<_>>();
                    all.push(format!("{} {}", reading.line, shown.join(", ")));
                }
                LiveEvent::Problem(problem, _) => all.push(problem.with_help()),
                other => all.push(format!("{other:?}")),
            }
        }
        all
    }

    const AIR: &str = "
subject: orchard.*.air
object: '@subject.2'
observations:
  - { mutation: blow, args: { value: { column: wind.speed, unit: m/s } } }
";

    #[test]
    fn what_a_message_says_becomes_observations_of_the_object_in_its_subject() {
        let post = Post::default();
        let live = listen(&post, AIR, None);
        assert_eq!(*post.asked.lock().unwrap(), [("orchard.*.air".to_owned(), None)]);
        post.deliver("orchard.ewr.air", br#"{"wind": {"speed": 3.5}}"#);
        post.deliver("orchard.jfk.air", br#"{"wind": {}}"#);
        post.deliver("orchard.lga.air", br#"{"wind": {"speed": 1}}"#);
        post.deliver("orchard.ewr.air", b"no json");
        let first = taken(&live);
        post.deliver("orchard.ewr.air", b"3");
        post.deliver("orchard.ewr.air", br#"{"wind": {"speed": "strong"}}"#);
        post.deliver("orchard.ewr.air", &vec![b' '; (1 << 20) + 1]);
        insta::assert_snapshot!([first, taken(&live)].concat().join("\n"));
    }

    #[test]
    fn cbor_is_read_as_its_json() {
        let post = Post::default();
        let live = listen(&post, &AIR.replace("object:", "format: cbor\nobject:"), None);
        let cbor = |hex: &str| {
            (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect::<Vec<_>>()
        };
        let subject = "orchard.ewr.air";
        // {"wind": {"speed": 3.5}} with a half float; the same of indefinite length, and behind a tag.
        post.deliver(subject, &cbor("a16477696e64a1657370656564f94300"));
        post.deliver(subject, &cbor("bf6477696e64bf657370656564f94300ffff"));
        post.deliver(subject, &cbor("d9d9f7a16477696e64a165737065656418fa"));
        // Not a number, null, bytes.
        post.deliver(subject, &cbor("a16477696e64a1657370656564f97e00"));
        let first = taken(&live);
        post.deliver(subject, &cbor("a16477696e64a1657370656564f6"));
        post.deliver(subject, &cbor("a16477696e64a165737065656443010203"));
        // Cut off, more than one item, a key that is a list.
        post.deliver(subject, &cbor("a16477696e64a165737065656443"));
        post.deliver(subject, &cbor("a000"));
        let second = taken(&live);
        post.deliver(subject, &cbor("a18001"));
        post.deliver(subject, &[0x81; 4096]);
        insta::assert_snapshot!([first, second, taken(&live)].concat().join("\n"));
    }

    #[test]
    fn a_value_that_stands_alone_and_the_whole_subject_are_columns() {
        let post = Post::default();
        let alone = "
subject: wind.>
group: farm
object: { column: '@subject', map: { wind.north: ewr } }
observations: [ { mutation: blow, args: { value: '@payload' } } ]
";
        let live = listen(&post, alone, None);
        assert_eq!(*post.asked.lock().unwrap(), [("wind.>".to_owned(), Some("farm".to_owned()))]);
        post.deliver("wind.north", b"12.5");
        post.deliver("wind.south", b"1");
        insta::assert_snapshot!(taken(&live).join("\n"), @r"
        1 ewr.blow(value=12.5)
        `weather` message 2: of `wind.south`: `wind.south` in `@subject` names no object that this source is linked to; did you mean `wind.north`?
        ");
    }

    #[test]
    fn what_comes_too_fast_is_left_out_and_counted() {
        let post = Post::default();
        let live = listen(&post, AIR, None);
        for n in 0..10 {
            post.deliver("orchard.ewr.air", format!("{{\"wind\": {{\"speed\": {n}}}}}").as_bytes());
        }
        let told = taken(&live);
        assert!(told[0].contains("after it, 6 came faster than they are taken"), "{told:?}");
        assert_eq!(told.len(), 5, "{told:?}");
        // The numbers go on, after a restart too: those that were left out have theirs.
        post.deliver("orchard.ewr.air", br#"{"wind": {"speed": 1}}"#);
        let Some(LiveEvent::Reading(reading)) = live.try_next() else { panic!("a reading") };
        assert_eq!(reading.line, 11);
        drop(live);
        assert!(post.take.lock().unwrap().is_none());
        let live = listen(&post, AIR, LiveCursor::from_bytes(&reading.cursor.to_bytes()));
        post.deliver("orchard.ewr.air", br#"{"wind": {"speed": 1}}"#);
        let Some(LiveEvent::Reading(reading)) = live.try_next() else { panic!("a reading") };
        assert_eq!(reading.line, 12);
    }

    #[test]
    fn without_a_broker_it_cannot_start() {
        let error = Live::start(source(SourceKind::Messages, AIR), None, 4, None).unwrap_err();
        insta::assert_snapshot!(error, @"the source `weather` cannot listen for `orchard.*.air`: there is nothing here that carries messages");
    }
}
