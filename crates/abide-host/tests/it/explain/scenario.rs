//! Small hosts, each with something that a reader of its log must get right.

use std::collections::BTreeMap;
use std::sync::Arc;

use abide_core::admission::{OperatorAct, OperatorRequest, Request, signed_bytes};
use abide_core::cycle::{Input, Verdict};
use abide_core::policy::{Grant, Policy};
use abide_core::record::{Caller, Outcome, OutcomeStatus, Signature};
use abide_core::reset::reset_bytes;
use abide_core::schema::Schema;
use abide_core::time::{Span, Timestamp};
use abide_host::ask;
use abide_host::keys::Keys;
use abide_host::view::View;
use abide_host::{Beginning, Host};
use abide_store::MemoryDisk;
use serde_json::{Value as Json, json};

/// A host in memory, with its keys and a clock that counts seconds.
pub(super) struct Run {
    pub(super) host: Host,
    pub(super) disk: MemoryDisk,
    pub(super) keys: Keys,
    counter: u64,
    _folder: tempfile::TempDir,
}

pub(super) fn at(seconds: i64) -> Timestamp {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    start.saturating_add(Span::from_secs(seconds))
}

pub(super) fn schema(text: &str) -> Arc<Schema> {
    match Schema::load(text) {
        Ok((schema, _)) => Arc::new(schema),
        Err(errors) => panic!("{errors:#?}"),
    }
}

impl Run {
    /// A host with an object of each schema, under the schema's name.
    pub(super) fn new(schemas: &[&str]) -> Self {
        Self::with(schemas, &[])
    }

    /// As [`Run::new`], with schemas that only children have.
    pub(super) fn with(schemas: &[&str], children: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(&folder.path().join("keys")).unwrap();
        let disk = MemoryDisk::new();
        let mut host = Host::open(Arc::new(disk.clone()), &keys, false, at(0)).unwrap();
        let grant =
            Grant { target: "out".into(), interface: "example:test/out".into(), functions: Vec::new() };
        let policy = Policy { operators: keys.operators(), links: vec![grant], ..Policy::default() };
        let beginnings: Vec<Beginning> = schemas
            .iter()
            .map(|text| schema(text))
            .map(|schema| Beginning {
                id: Arc::clone(&schema.name),
                schema,
                behaviour: None,
                policy: policy.clone(),
                values: Vec::new(),
            })
            .collect();
        let children: Vec<_> = children.iter().map(|text| (schema(text), None)).collect();
        host.begin(&children, &beginnings).unwrap();
        Self { host, disk, keys, counter: 0, _folder: folder }
    }

    /// Closes the host and opens it again, after a clean stop or without one.
    pub(super) fn reopen(&mut self, finish: bool) {
        if finish {
            self.host.finish().unwrap();
        }
        // A disk of its own stands in while the host is closed: one writer has the lock.
        let idle = Host::open(Arc::new(MemoryDisk::new()), &self.keys, false, at(0)).unwrap();
        drop(std::mem::replace(&mut self.host, idle));
        self.host = Host::open(Arc::new(self.disk.clone()), &self.keys, false, at(0)).unwrap();
    }

    pub(super) fn observe(&mut self, object: &str, mutation: &str, args: &Json) {
        self.host.observe(object, mutation, args).unwrap();
    }

    pub(super) fn tick(&mut self, seconds: i64) -> Vec<Verdict> {
        self.host.tick(at(seconds)).unwrap().verdicts.into_iter().map(|(_, verdict)| verdict).collect()
    }

    /// An operator asks for a mutation, signed.
    pub(super) fn mutate(&mut self, object: &str, mutation: &str, args: &Json) {
        let (number, request) = {
            let object = self.host.engine().object(object).unwrap();
            let (ix, mutation) = ask::mutation(&object.schema, mutation).unwrap();
            let args = ask::args_from_json(mutation, args).unwrap();
            self.counter += 1;
            let bytes = signed_bytes(object.genesis, "mutate", Some((mutation, &args)), self.counter);
            let signature = self.keys.sign_as_operator(&bytes, self.counter).unwrap();
            (object.number, Request { mutation: ix, args, caller: Caller::Operator(Box::new(signature)) })
        };
        self.host.submit(number, Input::Ask(request)).unwrap();
    }

    /// An operator acts on an object itself, signed.
    pub(super) fn operate(&mut self, object: &str, act: OperatorAct) {
        self.counter += 1;
        let (number, genesis) = self.number(object);
        let bytes = act.signed_bytes(genesis, self.counter);
        let signature = self.keys.sign_as_operator(&bytes, self.counter).unwrap();
        self.host.submit(number, Input::Operate(OperatorRequest { act, signature })).unwrap();
    }

    /// Another version of its schema, signed, if it can take over at all.
    pub(super) fn upgrade(&mut self, object: &str, to: &Arc<Schema>) -> Result<(), String> {
        let (number, _) = self.number(object);
        let act = self.host.act(number, to, None)?;
        self.operate(object, act);
        Ok(())
    }

    /// What was in force before the last upgrade, signed, if there was one.
    pub(super) fn revert(&mut self, object: &str) {
        let found = self.host.engine().object(object).unwrap();
        if let Some(act) = OperatorAct::revert(found) {
            self.operate(object, act);
        }
    }

    /// The operator sets the clock back to so many seconds after the start.
    pub(super) fn reset(&mut self, to: Timestamp) {
        self.counter += 1;
        let bytes = reset_bytes(self.host.engine().host_clock().genesis, to, self.counter);
        let signature = self.keys.sign_as_operator(&bytes, self.counter).unwrap();
        self.host.reset_clock(to, signature).unwrap();
    }

    /// As [`Run::operate`], with a signature that is of nobody.
    pub(super) fn operate_forged(&mut self, object: &str, act: OperatorAct) {
        let (number, _) = self.number(object);
        let signature = Signature { name: "mallory".into(), key: [7; 32], counter: 99, signature: [0; 64] };
        self.host.submit(number, Input::Operate(OperatorRequest { act, signature })).unwrap();
    }

    pub(super) fn outcome(&mut self, object: &str, status: OutcomeStatus, answer: Option<Json>) {
        let (number, _) = self.number(object);
        let of = *self.host.engine().object(object).unwrap().state.effects.keys().next().unwrap();
        let message = (status == OutcomeStatus::Failed).then(|| "the target is away".into());
        let outcome = Outcome { of, status, attempts: 1, message };
        self.host.submit(number, Input::Outcome(outcome, answer)).unwrap();
    }

    pub(super) fn number(&self, object: &str) -> (u32, abide_core::record::Hash) {
        let object = self.host.engine().object(object).unwrap();
        (object.number, object.genesis)
    }

    pub(super) fn view(&self) -> View {
        View::open_disk(Arc::new(self.disk.clone()), None).unwrap()
    }

    /// The kinds of an object's records, in order.
    pub(super) fn kinds(&self, object: &str) -> Vec<String> {
        lineage(&self.view(), object)
            .iter()
            .map(|record| record["kind"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// A lineage as `lineage --json` has it.
pub(super) fn lineage(view: &View, object: &str) -> Vec<Json> {
    let lineage = view.lineage(object).unwrap();
    view.records(lineage).unwrap().map(|link| link.unwrap().to_json()).collect()
}

pub(super) const LAMP: &str = r"
schema: abide/v1
name: lamp
version: 1.0.0
intent: Light where it is dark.
fields:
  lux: { type: number, minimum: 0, maximum: 200000 }
  seen: { type: string, format: date-time, nullable: true }
  spot: { type: object, properties: { x: { type: integer }, y: { type: integer } }, default: { x: 0, y: 0 } }
  on: { type: boolean, default: false }
  note: { type: string, maxLength: 40, default: '' }
mutations:
  observe:
    from: [observation, operator]
    args: { lux: { $ref: '#/fields/lux' }, seen: { type: string, format: date-time, nullable: true } }
    ignore: args.lux == self.lux
    requires: args.seen == null || args.seen > timestamp('2020-01-01T00:00:00Z')
    set: { lux: args.lux, seen: args.seen }
  place:
    from: [observation]
    args: { to: { type: object, required: [x, y], properties: { x: { type: integer }, y: { type: integer } } } }
    requires: args.to.x >= 0
    set: { spot: args.to }
  write: { from: [observation], args: { note: { $ref: '#/fields/note' } }, set: { note: args.note } }
  switch: { from: [rule, operator], args: { on: { $ref: '#/fields/on' } }, requires: args.on != self.on, set: { on: args.on } }
rules:
  - { name: dark, when: self.lux < 10 && !self.on, then: { mutate: switch, args: { on: true } } }
  - { name: bright, when: self.lux > 50 && self.on, then: { mutate: switch, args: { on: false } } }
";

/// Gaps, deadbands, denials of every shape by outside callers, first in full and then counted.
pub(super) fn lamp() -> Run {
    let mut run = Run::new(&[LAMP]);
    run.tick(1);
    run.observe("lamp", "observe", &json!({ "lux": 400 }));
    run.tick(2);
    run.observe("lamp", "observe", &json!({ "lux": 400 }));
    run.tick(3);
    for seconds in 4..8 {
        run.observe("lamp", "observe", &json!({ "lux": -1 }));
        run.observe("lamp", "observe", &json!({ "lux": 5, "seen": "2010-01-01T00:00:00Z" }));
        run.observe("lamp", "place", &json!({ "to": { "x": -1, "y": 2 } }));
        run.observe("lamp", "place", &json!({ "to": "here" }));
        run.observe("lamp", "write", &json!({ "note": "long ".repeat(200) }));
        run.observe("lamp", "observe", &json!({}));
        run.tick(seconds);
    }
    run.observe("lamp", "observe", &json!({ "lux": "dim" }));
    run.observe("lamp", "observe", &json!({ "lux": 3, "seen": "2026-01-01T00:00:08Z" }));
    run.observe("lamp", "observe", &json!({ "lux": -1 }));
    run.tick(8);
    run.observe("lamp", "observe", &json!({ "lux": 90 }));
    run.observe("lamp", "place", &json!({ "to": { "x": 4, "y": 2 } }));
    run.tick(9);
    run.mutate("lamp", "switch", &json!({ "on": true }));
    run.mutate("lamp", "switch", &json!({ "on": true }));
    run.operate("lamp", OperatorAct::Release);
    run.operate_forged("lamp", OperatorAct::Seal);
    run.tick(10);
    run.tick(3700);
    run.observe("lamp", "observe", &json!({ "lux": -1 }));
    run.tick(3701);
    run
}

pub(super) const FAULTY: &str = r"
schema: abide/v1
name: faulty
version: 1.0.0
fields:
  divisor: { type: integer, default: 0 }
  heat: { type: number, minimum: 0, maximum: 100, default: 0 }
  on: { type: boolean, default: true }
  warm: { type: boolean, default: false }
mutations:
  observe: { from: [observation], args: { heat: { type: number } }, set: { heat: args.heat } }
  mark: { from: [rule], set: { warm: 'true' }, cost: 1 }
  divide: { from: [operator], args: { by: { type: integer } }, set: { divisor: args.by } }
  stop: { from: [rule], set: { on: 'false' }, cost: 1 }
  jump: { from: [rule], set: { heat: self.heat + 1000.0 }, cost: 1 }
rules:
  - { name: broken, when: self.divisor == 0 && 10 / self.divisor > 1, then: { mutate: stop } }
  - { name: jumpy, when: self.heat > 20, then: { mutate: jump } }
  - { name: warm, when: self.heat > 10, for: 2s, then: { mutate: mark } }
safe_state: { mutate: stop }
trust_slope:
  quarantine: { denials: 8, within: 1m }
";

/// Guards that fail at every tick, counted among observations, until they bring a quarantine; and its release.
pub(super) fn faulty() -> Run {
    let mut run = Run::new(&[FAULTY]);
    for seconds in 1..6 {
        if seconds % 2 == 0 {
            run.observe("faulty", "observe", &json!({ "heat": 10 + seconds }));
            run.observe("faulty", "observe", &json!({ "heat": 500 }));
        }
        run.tick(seconds);
    }
    run.observe("faulty", "observe", &json!({ "heat": 30 }));
    run.tick(6);
    run.tick(7);
    run.tick(8);
    run.observe("faulty", "observe", &json!({ "heat": 31 }));
    run.tick(9);
    run.operate("faulty", OperatorAct::Release);
    run.mutate("faulty", "divide", &json!({ "by": 2 }));
    run.tick(10);
    run.observe("faulty", "observe", &json!({ "heat": 12 }));
    run.tick(11);
    run.tick(12);
    run.tick(14);
    run.tick(200);
    run.observe("faulty", "observe", &json!({ "heat": 14 }));
    run.tick(201);
    run
}

pub(super) const SPENDER: &str = r"
schema: abide/v1
name: spender
version: 1.0.0
fields:
  wanted: { type: integer, minimum: 0, maximum: 1000, default: 0 }
  done: { type: integer, minimum: 0, maximum: 1000, default: 0 }
mutations:
  want: { from: [observation], args: { n: { type: integer } }, set: { wanted: args.n } }
  work: { from: [rule], set: { done: self.done + 1 }, cost: 4 }
  reset: { from: [operator], set: { done: '0', wanted: '0' } }
rules:
  - { name: work, when: self.done < self.wanted, then: { mutate: work } }
trust_slope:
  budget: 10
  refill: { amount: 1, per: 10s }
  drift: { done: { from: 0, within: 5 } }
";

/// Denials for want of slope, which make the rule ready again; and for drift.
pub(super) fn spender() -> Run {
    let mut run = Run::new(&[SPENDER]);
    run.observe("spender", "want", &json!({ "n": 8 }));
    for n in 1..30 {
        let due = run.host.next_due().unwrap_or(at(0)).max(at(n));
        run.host.tick(due).unwrap();
    }
    run.mutate("spender", "reset", &json!({}));
    run.tick(5000);
    run
}

pub(super) const SLEEPER: &str = r"
schema: abide/v1
name: sleeper
version: 1.0.0
missed: skip
fields:
  level: { type: integer, minimum: 0, maximum: 100, default: 0 }
  tries: { type: integer, minimum: 0, maximum: 100, default: 0 }
mutations:
  observe: { from: [observation], args: { level: { $ref: '#/fields/level' } }, set: { level: args.level } }
  beat: { from: [rule], set: { tries: 'min(self.tries + 1, 100)' } }
rules:
  - { name: end, when: self.level == 99, priority: 9, then: terminate }
  - { name: wait, when: self.level == 1, then: { sleep: { until: self.level > 5 } } }
  - { name: nap, when: self.level == 6, then: { sleep: { for: 5s } } }
  - { name: later, when: self.level == 7, then: retry }
  - { name: beat, when: self.level >= 10, every: 4s, then: { mutate: beat } }
safe_state: { mutate: beat }
";

/// Sleep until a condition and for a time, retries, a pause that is skipped, and the end.
pub(super) fn sleeper() -> Run {
    let mut run = Run::new(&[SLEEPER]);
    let levels = [(1, 1), (2, 3), (3, 6), (12, 7), (13, 7), (14, 7), (17, 7), (20, 10)];
    for (seconds, level) in levels {
        run.observe("sleeper", "observe", &json!({ "level": level }));
        run.tick(seconds);
        let due = run.host.next_due();
        if let Some(due) = due.filter(|due| *due < at(seconds + 1)) {
            run.host.tick(due).unwrap();
        }
    }
    run.tick(24);
    run.host.tick_with(at(63), Vec::new(), Some(at(24))).unwrap();
    run.tick(64);
    run.tick(70);
    run.observe("sleeper", "observe", &json!({ "level": 99 }));
    run.tick(71);
    run.observe("sleeper", "observe", &json!({ "level": 3 }));
    run.tick(72);
    run
}

pub(super) const PARENT: &str = r"
schema: abide/v1
name: parent
version: 1.0.0
fields:
  jobs: { type: integer, minimum: 0, maximum: 100, default: 0 }
  begun: { type: integer, minimum: 0, maximum: 100, default: 0 }
mutations:
  observe: { from: [observation], args: { jobs: { $ref: '#/fields/jobs' } }, set: { jobs: args.jobs } }
  begin: { from: [rule], set: { begun: self.begun + 1 }, cost: 1 }
rules:
  - { name: count, when: self.begun < self.jobs, then: { mutate: begin } }
  - name: make
    when: self.jobs > 0 && self.begun == self.jobs
    then: { spawn: { schema: child, values: { n: '${self.jobs}' }, budget: 4, refill: 1, links: [example:test/out] } }
trust_slope: { budget: 12, refill: { amount: 3, per: 1m } }
";

pub(super) const CHILD: &str = r"
schema: abide/v1
name: child
version: 1.0.0
fields: { n: { type: integer, minimum: 0, maximum: 100 } }
mutations:
  count: { from: [rule], set: { n: self.n - 1 }, cost: 1 }
rules:
  - { name: end, when: self.n == 0, priority: 1, then: terminate }
  - { name: count, when: self.n > 0, then: { mutate: count } }
trust_slope: { budget: 20, refill: { amount: 9, per: 1m } }
";

/// Children that take a part of the slope, end and give it back; one that cannot be made.
pub(super) fn family() -> Run {
    let mut run = Run::with(&[PARENT], &[CHILD]);
    run.observe("parent", "observe", &json!({ "jobs": 2 }));
    for seconds in 1..9 {
        run.tick(seconds);
    }
    for jobs in 3..7 {
        run.observe("parent", "observe", &json!({ "jobs": jobs }));
        run.tick(10 * i64::from(jobs));
        run.tick(10 * i64::from(jobs) + 1);
    }
    run.tick(100);
    run
}

pub(super) const SENDER: &str = r"
schema: abide/v1
name: sender
version: 1.0.0
fields:
  wanted: { type: string, enum: [off, low, high], default: off }
  sent: { type: string, enum: [off, low, high], default: off }
  told: { type: integer, nullable: true }
  fault: { type: string, maxLength: 80, nullable: true }
mutations:
  want: { from: [observation], args: { level: { $ref: '#/fields/wanted' } }, set: { wanted: args.level } }
  send:
    from: [rule]
    args: { level: { $ref: '#/fields/sent' } }
    set: { sent: args.level }
    effect:
      interface: example:test/out
      function: set-level
      args: ['${args.level}', { now: '${self.wanted}' }]
      valid_for: 1m
      result: told
      error: failed
  told: { from: [observation], args: { code: { type: integer, minimum: 0, maximum: 99 } }, set: { told: args.code } }
  failed: { from: [observation], args: { message: { type: string, maxLength: 80 } }, set: { fault: args.message } }
rules:
  - { name: send, when: self.sent != self.wanted, then: { mutate: send, args: { level: '${self.wanted}' } } }
";

/// Effects that are delivered with a good answer and a bad one, fail, are abandoned; a changed policy; a seal.
pub(super) fn sender() -> Run {
    let mut run = Run::new(&[SENDER]);
    let ends = [
        ("low", OutcomeStatus::Delivered, Some(json!({ "code": 7 }))),
        ("high", OutcomeStatus::Delivered, Some(json!({ "code": 700 }))),
        ("off", OutcomeStatus::Delivered, Some(json!({ "code": 701 }))),
        ("low", OutcomeStatus::Failed, None),
        ("high", OutcomeStatus::Abandoned, None),
        ("off", OutcomeStatus::Simulated, None),
    ];
    for (n, (level, status, answer)) in (1..).zip(ends) {
        run.observe("sender", "want", &json!({ "level": level }));
        run.tick(10 * n);
        run.outcome("sender", status, answer);
        run.tick(10 * n + 5);
    }
    let (number, _) = run.number("sender");
    let policy = Policy { operators: run.keys.operators(), ..Policy::default() };
    run.host.submit(number, Input::Policy(Box::new(policy))).unwrap();
    run.observe("sender", "want", &json!({ "level": "low" }));
    run.tick(100);
    run.operate("sender", OperatorAct::Seal);
    run.tick(101);
    run.observe("sender", "want", &json!({ "level": "high" }));
    run.tick(102);
    run
}

/// A clock that ran ahead by some days, with denials counted, an effect under way and a guard that holds, was set back; and
/// once more, to a time that had been before. One object was sealed before that.
pub(super) fn ahead() -> Run {
    let mut run = Run::new(&[FAULTY, SENDER, LAMP]);
    run.operate("lamp", OperatorAct::Seal);
    run.tick(1);
    run.tick(400_000);
    run.mutate("faulty", "divide", &json!({ "by": 2 }));
    run.observe("faulty", "observe", &json!({ "heat": 500 }));
    run.observe("faulty", "observe", &json!({ "heat": 500 }));
    run.observe("faulty", "observe", &json!({ "heat": 12 }));
    run.observe("sender", "want", &json!({ "level": "low" }));
    run.tick(400_001);
    run.observe("faulty", "observe", &json!({ "heat": 500 }));
    run.tick(400_002);
    run.reset(at(100));
    run.outcome("sender", OutcomeStatus::Delivered, Some(json!({ "code": 7 })));
    run.tick(101);
    run.observe("faulty", "observe", &json!({ "heat": 1 }));
    run.tick(300_000);
    run.reset(at(50));
    run.observe("faulty", "observe", &json!({ "heat": 2 }));
    run.tick(60);
    run
}

/// Versions of these schemas that take over from the first, and from each other: by name and number.
pub(super) fn later(text: &str, version: u32) -> Arc<Schema> {
    let from: Vec<_> =
        (1..=3).filter(|other| *other != version).map(|other| format!("{other}.0.0")).collect();
    let text = text.replace("version: 1.0.0", &format!("version: {version}.0.0"));
    let name = text.lines().find_map(|line| line.strip_prefix("name: ")).unwrap().to_owned();
    let (text, more) = match (&*name, version) {
        ("lamp", 2) => (
            text.replace("note:", "remark:").replace("set: { note:", "set: { remark:").replace("#/fields/note", "#/fields/remark")
                .replace("args: { remark:", "args: { note:").replace("'' }", "none }")
                .replace("self.lux < 10", "self.lux < 20"),
            ", rename: { note: remark }, set: { lux: 'self.lux / 2.0' }".to_owned(),
        ),
        ("lamp", 3) => (
            text.replace("lux: { type: number, minimum: 0, maximum: 200000 }", "lux: { type: number, minimum: 0, maximum: 300 }\n  since: { type: string, format: date-time }"),
            ", rename: { remark: note }, set: { since: now }".to_owned(),
        ),
        ("lamp", _) => (text, ", rename: { remark: note }, remove: [since]".to_owned()),
        ("spender", 2) => (text.replace("budget: 10", "budget: 14").replace("within: 5", "within: 6"), String::new()),
        ("spender", 3) => (
            text.replace("budget: 10", "budget: 7").replace("amount: 1,", "amount: 2,").replace("{ type: integer, minimum: 0, maximum: 1000, default: 0 }", "{ type: number, minimum: 0, maximum: 900, default: 0 }")
                .replace("self.done + 1", "self.done + 1.0").replace("set: { wanted: args.n }", "set: { wanted: double(args.n) }").replace("'0'", "'0.0'"),
            String::new(),
        ),
        ("spender", _) => (text, ", set: { done: int(self.done), wanted: int(self.wanted) }".to_owned()),
        ("parent", 2) => (text.replace("budget: 12", "budget: 16").replace("amount: 3", "amount: 4"), String::new()),
        ("parent", 3) => (text.replace("budget: 12", "budget: 8").replace("amount: 3", "amount: 2"), String::new()),
        ("sender", 2) => (
            text.replace("told: { type: integer, nullable: true }", "told: { type: number, nullable: true, default: 1 }").replace("set: { told: args.code }", "set: { told: double(args.code) }"),
            String::new(),
        ),
        ("sender", 3) => (text.replace("enum: [off, low, high]", "enum: [off, low]"), ", remove: [told]".to_owned()),
        ("sender", _) => (text, ", set: { told: 'self.told == null ? 0 : int(self.told)' }".to_owned()),
        (_, 2) => (text.replace("rules:\n", "intent: The second.\nrules:\n"), String::new()),
        (_, 3) => (text.replace("2s", "3s").replace("4s", "3s").replace("maximum: 100", "maximum: 60"), String::new()),
        _ => (text, String::new()),
    };
    schema(&format!("{text}migration: {{ from: [{}]{more} }}\n", from.join(", ")))
}

/// Upgrades of several schemas: fields renamed, computed, new and of another type, a slope with children in it, an effect under way;
/// refused ones, denials counted around them; and ways back.
pub(super) fn upgraded() -> Run {
    let mut run = Run::with(&[LAMP, SPENDER, PARENT, SENDER], &[CHILD]);
    run.observe("lamp", "observe", &json!({ "lux": 400, "seen": "2026-01-01T00:00:00Z" }));
    run.observe("lamp", "write", &json!({ "note": "first" }));
    run.observe("spender", "want", &json!({ "n": 3 }));
    run.observe("parent", "observe", &json!({ "jobs": 2 }));
    run.observe("sender", "want", &json!({ "level": "high" }));
    run.tick(1);
    for seconds in 2..8 {
        run.observe("lamp", "observe", &json!({ "lux": -1 }));
        run.tick(seconds);
    }
    for (object, text) in [("lamp", LAMP), ("spender", SPENDER), ("parent", PARENT)] {
        run.upgrade(object, &later(text, 2)).unwrap();
    }
    // The enumeration of the third lacks what the object holds, and the effect is under way.
    run.upgrade("sender", &later(SENDER, 3)).unwrap();
    run.observe("lamp", "observe", &json!({ "lux": 30 }));
    run.tick(8);
    run.observe("lamp", "write", &json!({ "note": "second" }));
    run.observe("lamp", "observe", &json!({ "lux": -1 }));
    run.observe("spender", "want", &json!({ "n": 9 }));
    run.upgrade("sender", &later(SENDER, 2)).unwrap();
    run.tick(9);
    run.outcome("sender", OutcomeStatus::Delivered, Some(json!({ "code": 7 })));
    (10..20).for_each(|seconds| drop(run.tick(seconds)));
    run.upgrade("lamp", &later(LAMP, 3)).unwrap();
    run.upgrade("spender", &later(SPENDER, 3)).unwrap();
    run.upgrade("parent", &later(PARENT, 3)).unwrap();
    run.operate_forged("sender", OperatorAct::Seal);
    run.revert("sender");
    run.tick(20);
    run.observe("lamp", "observe", &json!({ "lux": 250 }));
    run.tick(21);
    for object in ["lamp", "spender", "parent", "sender"] {
        run.revert(object);
    }
    run.tick(22);
    run.observe("lamp", "observe", &json!({ "lux": 4 }));
    run.upgrade("spender", &later(SPENDER, 1)).unwrap();
    run.tick(23);
    run.tick(4000);
    run
}

/// Every one of them, by name.
pub(super) fn all() -> BTreeMap<&'static str, Run> {
    BTreeMap::from([
        ("lamp", lamp()),
        ("faulty", faulty()),
        ("spender", spender()),
        ("sleeper", sleeper()),
        ("family", family()),
        ("sender", sender()),
        ("ahead", ahead()),
        ("upgraded", upgraded()),
    ])
}

/// A record that a rewritten log may have in place of one.
pub(super) enum Lie {
    /// As it was.
    Keep,
    /// Another.
    Other(Box<abide_core::record::Record>),
    /// None.
    Drop,
}

/// The log of a run as someone with its log key would write it again: each record passes `lie`, and where `chained`, those
/// after it name the new hashes and numbers.
pub(super) fn rewritten(
    run: &Run,
    chained: bool,
    mut lie: impl FnMut(&abide_core::record::Record) -> Lie,
) -> MemoryDisk {
    use abide_core::record::decode::{decode, puts_in_force};
    use abide_core::record::encode::encode;
    use abide_core::record::{Event, Hash};
    use abide_store::{Commit, Entry, Log, LogOptions, Position};
    let disk = MemoryDisk::new();
    let options = LogOptions::new(run.keys.signer().unwrap());
    let mut log = Log::create(Arc::new(disk.clone()), options).unwrap();
    let view = run.view();
    let mut heads: BTreeMap<Arc<str>, (u64, Hash)> = BTreeMap::new();
    let mut in_force: BTreeMap<u32, Arc<Schema>> = BTreeMap::new();
    for frame in view.reader().frames(Position::START) {
        let frame = frame.unwrap();
        let mut records = Vec::new();
        for stored in frame.records() {
            if let Some(digest) = puts_in_force(stored.bytes).unwrap() {
                in_force.insert(stored.object, Arc::clone(&view.engine().schemas()[&digest]));
            }
            let schema = in_force.get(&stored.object).map(|schema| &**schema);
            let record = decode(stored.bytes, schema).unwrap();
            let mut told = match lie(&record) {
                Lie::Keep => record,
                Lie::Other(other) => *other,
                Lie::Drop => continue,
            };
            if chained {
                let head = heads.get(&told.object).copied();
                told.seq = head.map_or(0, |(length, _)| length);
                told.prev = head.map(|(_, head)| head);
            }
            let mut bytes = Vec::new();
            encode(&told, schema, &mut bytes);
            heads.insert(told.object, (told.seq + 1, Hash::of_record(&bytes)));
            if !matches!(told.event, Event::Schema(_)) || stored.object == 0 {
                records.push((stored.object, bytes));
            }
        }
        if records.is_empty() {
            continue;
        }
        let entries = records.iter().map(|(object, bytes)| Entry {
            object: *object,
            bytes,
            hash: Hash::of_record(bytes).0,
        });
        log.append(Commit { tick: frame.tick(), time: frame.time(), entries }).unwrap();
    }
    disk
}
