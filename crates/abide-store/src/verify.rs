//! Checking a whole log, and saying all that is wrong with it.

use crate::checkpoint::{KeyId, LogVerifier};
use crate::error::{Damage, DiskError};
use crate::format::{FrameView, HeaderFault, Position};
use crate::log::LogState;
use crate::merkle::Hash;
use crate::read::{Found, Segments, Window};

/// How many problems are told one by one.
const PROBLEMS_MAX: usize = 100;

/// Something wrong with a log, and where.
pub type Problem = Damage;

/// What checking a log came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// The sound frames.
    pub frames: u64,
    /// The records in them.
    pub records: u64,
    /// The root of the tree, if nothing was wrong with the records.
    pub root: Option<Hash>,
    /// The names and keys that checkpoints are signed under, in order. That these are the host's is for its records
    /// to say.
    pub keys: Vec<KeyUse>,
    /// What is wrong, in order: at most 100 of them.
    pub problems: Vec<Problem>,
    /// How many more there are.
    pub problems_more: u64,
}

/// The name and key of checkpoints, from a place in the log on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// The first segment under this key.
    pub from: Position,
    /// The number of records before it.
    pub size: u64,
    /// The name and key.
    pub verifier: LogVerifier,
}

impl Verification {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Checks every frame of `segments`.
pub(crate) fn verify(segments: &Segments) -> Result<Verification, DiskError> {
    let mut check = Check { found: Verification::default(), state: Some(LogState::default()) };
    for base in segments.bases() {
        let Some((_, end)) = segments.span(*base) else { continue };
        let mut window = match Window::open(&**segments.disk(), *base) {
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => {
                check.state = None;
                let what = "the segment is missing".to_owned();
                check.problem(Damage { path: error.path, offset: 0, what });
                continue;
            }
            opened => opened?,
        };
        check.segment(&mut window, end - base)?;
    }
    check.found.root = check.state.map(|state| state.root());
    Ok(check.found)
}

struct Check {
    found: Verification,
    /// What the log comes to; none once something of it is lost or altered, since then no later root can be computed.
    state: Option<LogState>,
}

impl Check {
    fn segment(&mut self, window: &mut Window, end: u64) -> Result<(), DiskError> {
        let verifier = self.header(window)?;
        let mut offset = match &verifier {
            Ok((_, header_end)) => *header_end,
            // Without its header, the segment's first frame is where the search finds it.
            Err(()) => window.frame_after(0, |_| true)?.unwrap_or(end),
        };
        while offset < end {
            offset = self
                .frame(window, offset, verifier.as_ref().ok().map(|(verifier, _)| verifier))?
                .unwrap_or(end);
        }
        Ok(())
    }

    /// Checks the header of a segment: the key that it names, and where it ends.
    fn header(&mut self, window: &mut Window) -> Result<Result<(LogVerifier, u64), ()>, DiskError> {
        let header = match window.header()? {
            Ok(header) => header,
            Err(fault) => {
                let what = match fault {
                    HeaderFault::Newer(version) => format!("its format version is {version}"),
                    HeaderFault::Invalid(what) => what.to_owned(),
                };
                self.problem_at(window, 0, what);
                return Ok(Err(()));
            }
        };
        let continues = self.state.as_ref().is_none_or(|state| {
            state.frontier.size() == header.first_leaf && state.root() == header.root_before
        });
        if !continues {
            self.problem_at(window, 0, "the segment header does not continue the segment before it");
        }
        if self.found.keys.last().is_none_or(|last| last.verifier != header.verifier) {
            let (from, size) = (Position(header.base), header.first_leaf);
            self.found.keys.push(KeyUse { from, size, verifier: header.verifier.clone() });
        }
        let end = header.len();
        Ok(Ok((header.verifier, end)))
    }

    /// Checks the frame at `offset`, and gives the offset of the next one, if there is any in this segment.
    fn frame(
        &mut self,
        window: &mut Window,
        offset: u64,
        verifier: Option<&LogVerifier>,
    ) -> Result<Option<u64>, DiskError> {
        let (next, problems) = match window.frame(offset)? {
            Found::Frame(frame) => {
                self.found.frames += 1;
                self.found.records += u64::from(frame.header.records);
                let next = offset + u64::from(frame.header.len);
                (Some(next), [self.contradiction(&frame), bad_signature(&frame, verifier)])
            }
            Found::End => (None, [Some("the segment is cut short".to_owned()), None]),
            Found::Fault(fault) => (None, [Some(fault.to_string()), None]),
        };
        for what in problems.into_iter().flatten() {
            self.problem_at(window, offset, what);
        }
        if next.is_none() {
            self.state = None;
            return window.frame_after(offset, |_| true);
        }
        Ok(next)
    }

    fn contradiction(&mut self, frame: &FrameView<'_>) -> Option<String> {
        let wrong = self.state.as_mut()?.admit(frame).err()?;
        // What builds on it would contradict it as well: one problem is told, not all that follow from it.
        self.state = None;
        Some(wrong.to_string())
    }

    fn problem_at(&mut self, window: &Window, offset: u64, what: impl Into<String>) {
        self.problem(Damage { path: window.described().to_owned(), offset, what: what.into() });
    }

    fn problem(&mut self, problem: Problem) {
        if self.found.problems.len() < PROBLEMS_MAX {
            self.found.problems.push(problem);
        } else {
            self.found.problems_more += 1;
        }
    }
}

fn bad_signature(frame: &FrameView<'_>, verifier: Option<&LogVerifier>) -> Option<String> {
    let verifier = verifier?;
    let KeyId(named) = frame.header.key_id;
    if named != verifier.key_id().0 {
        return Some("the frame there names another key than its segment".to_owned());
    }
    let holds = verifier.verify(frame.size(), &frame.root, &frame.signature);
    (!holds).then(|| "the signature of the frame there is not the log key's".to_owned())
}
