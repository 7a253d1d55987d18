//! A run whose effects go over HTTP and into a store: nothing of it holds up a tick.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use abide_host::keys::Keys;
use abide_host::manifest::{Application, Manifest, load};
use abide_host::run::{Progress, Ran, Run};

use super::server::{Answer, Server, json, serve};

/// Longer than anything here takes; a test that waits so long has failed.
const LONG: Duration = Duration::from_secs(60);

/// `asking` calls out once and waits for its answer; `beating` counts its ticks.
fn schemas(timeout: &str) -> [(&'static str, String); 2] {
    let asking = format!(
        "
schema: abide/v1
name: asking
version: 1.0.0
fields:
  asked: {{ type: boolean, default: false }}
  status: {{ type: integer, default: 0 }}
  failure: {{ type: string, maxLength: 4000, default: '' }}
  total: {{ type: integer, default: 0 }}
  counted: {{ type: boolean, default: false }}
mutations:
  ask:
    from: [rule]
    args: {{}}
    set: {{ asked: 'true' }}
    effect: {{ interface: 'abide:http/client', function: request, args: [{{ method: POST, url: ask, body: {{ n: '${{self.total}}' }} }}], valid_for: 1h, timeout: {timeout}, retries: 0, result: answered, error: failed }}
  answered: {{ from: [observation], args: {{ status: {{ $ref: '#/fields/status' }} }}, set: {{ status: args.status }} }}
  failed: {{ from: [observation], args: {{ message: {{ $ref: '#/fields/failure' }} }}, set: {{ failure: args.message }} }}
  count:
    from: [rule]
    args: {{}}
    set: {{ counted: 'true' }}
    effect: {{ interface: 'wasi:keyvalue/atomics', function: increment, args: [totals, asked, 1], valid_for: 1h, result: summed }}
  summed: {{ from: [observation], args: {{ value: {{ $ref: '#/fields/total' }} }}, set: {{ total: args.value }} }}
rules:
  - {{ name: ask, when: '!self.asked', then: {{ mutate: ask }} }}
  - {{ name: count, when: 'self.asked && !self.counted', then: {{ mutate: count }} }}
"
    );
    let beating = "
schema: abide/v1
name: beating
version: 1.0.0
fields: { beats: { type: integer, default: 0 } }
mutations:
  beat: { from: [rule], args: {}, set: { beats: self.beats + 1 } }
rules:
  - { name: beat, when: 'true', every: 1ms, then: { mutate: beat } }
";
    [("asking.yaml", asking), ("beating.yaml", beating.to_owned())]
}

fn application(folder: &Path, server: &Server, timeout: &str) -> Application {
    for (name, text) in schemas(timeout) {
        fs::write(folder.join(name), text).unwrap();
    }
    let address = server.address;
    let text = format!(
        "
apiVersion: core.oam.dev/v1beta1
kind: Application
metadata: {{ name: asking, annotations: {{ abide.dev/tick: 2ms }} }}
spec:
  components:
    - name: asking
      type: object
      properties: {{ schema: asking.yaml, objects: [one] }}
      traits:
        - type: link
          properties: {{ target: web, namespace: abide, package: http, interfaces: [client] }}
        - type: link
          properties: {{ target: kept, namespace: wasi, package: keyvalue, interfaces: [atomics] }}
    - name: beating
      type: object
      properties: {{ schema: beating.yaml, objects: [two] }}
    - name: web
      type: capability
      properties: {{ image: abide+builtin://http, config: [{{ name: web, properties: {{ allowed_hosts: ['{address}'], base_url: 'http://{address}/' }} }}] }}
    - name: kept
      type: capability
      properties: {{ image: abide+builtin://keyvalue, config: [{{ name: kept, properties: {{ buckets: [totals] }} }}] }}
"
    );
    let manifest = Manifest { file: "app.yaml", text: &text, base: folder };
    let loaded = load(manifest, &|path| fs::read_to_string(path));
    loaded.application.unwrap_or_else(|| panic!("{:?}", loaded.reports))
}

/// Runs until the progress makes it stop.
fn run(folder: &Path, application: &Application, until: &mut dyn FnMut(&Progress) -> bool) -> Ran {
    let keys = Keys::open(&folder.join("keys")).unwrap();
    let stop = AtomicBool::new(false);
    let began = Instant::now();
    let mut progress = |progress: Progress| {
        if until(&progress) {
            stop.store(true, Ordering::Relaxed);
        }
        assert!(began.elapsed() < LONG, "the run does not come to its end");
    };
    let run = Run {
        application,
        folder: folder.join("data"),
        keys: &keys,
        stop: &stop,
        progress: &mut progress,
        ticks_max: None,
        compiler: std::sync::Arc::default(),
        dev: false,
        requests: abide_host::local::Requests::default(),
        broker: None,
    };
    run.run().unwrap()
}

/// Runs until so many records came from outside.
pub(super) fn run_until(folder: &Path, application: &Application, records: usize) -> Ran {
    let mut outside = 0;
    run(folder, application, &mut |progress| {
        outside += from_outside(progress);
        outside >= records
    })
}

/// The memory of an object, as JSON by field.
pub(super) fn memory(ran: &Ran, object: &str) -> serde_json::Value {
    let found = ran.host.engine().object(object).unwrap();
    let values = found.state.memory.iter().map(abide_core::field::untyped_to_json);
    let names = found.schema.memory.fields.iter().map(|field| field.name.to_string());
    names.zip(values).collect::<serde_json::Map<_, _>>().into()
}

/// How many records of a tick are not of rules: outcomes, and what they come back to.
fn from_outside(progress: &Progress) -> usize {
    match progress {
        Progress::Tick { records, acts, .. } => records - acts,
        _ => 0,
    }
}

#[test]
fn an_endpoint_that_never_answers_holds_up_no_tick_and_fails_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(vec![Answer::Never]);
    let application = application(folder.path(), &server, "300ms");
    let (mut outside, mut beats_in_flight) = (0, 0);
    let mut in_flight = false;
    // The count has an outcome and an answer, and so has the call: four records.
    let ran = run(folder.path(), &application, &mut |progress| {
        in_flight = in_flight || server.requests.try_recv().is_ok();
        outside += from_outside(progress);
        let acted = matches!(progress, Progress::Tick { acts, .. } if *acts > 0);
        beats_in_flight += u64::from(in_flight && acted && outside < 4);
        outside >= 4
    });
    assert!(beats_in_flight > 5, "the other object went on: {beats_in_flight}");
    let memory = memory(&ran, "one");
    let failure = memory["failure"].as_str().unwrap();
    assert!(failure.ends_with("did not answer within the timeout"), "{memory}");
    assert_eq!((&memory["status"], &memory["total"]), (&0.into(), &1.into()), "another target does not wait");
    assert!(ran.host.pending_effects().is_empty());
}

#[test]
fn a_stop_with_a_call_in_flight_is_clean_and_the_next_run_calls_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(vec![Answer::Never]);
    // Beyond what a stop waits for.
    let first = application(folder.path(), &server, "1h");
    let (mut outside, mut asked) = (0, None);
    let ran = run(folder.path(), &first, &mut |progress| {
        asked = asked.take().or_else(|| server.requests.try_recv().ok());
        outside += from_outside(progress);
        asked.is_some() && outside >= 2
    });
    let pending: Vec<_> = ran.host.pending_effects().into_iter().map(|effect| effect.target).collect();
    assert_eq!(pending, ["web".into()]);
    drop(ran);

    let server = serve(vec![json("200 OK", "{}")]);
    let second = application(folder.path(), &server, "1h");
    let mut outside = 0;
    let ran = run(folder.path(), &second, &mut |progress| {
        outside += from_outside(progress);
        outside >= 2
    });
    assert_eq!(memory(&ran, "one")["status"], 200, "what was in flight was sent again");
    let key = |request: &str| {
        request
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with("idempotency-key"))
            .map(str::to_owned)
    };
    let again = server.requests.recv().unwrap();
    assert!(asked.as_deref().and_then(key).is_some());
    assert_eq!(asked.as_deref().and_then(key), key(&again));
}
