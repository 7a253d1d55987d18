//! What is made of known inputs: flipped, cut, repeated and spliced, with the words of all of them.

use std::collections::BTreeSet;

use crate::random::Random;

/// Longest input that is made.
const BYTES_MAX: usize = 64 * 1024;
/// Most changes of one input.
const CHANGES_MAX: usize = 6;
/// Most words that are kept.
const WORDS_MAX: usize = 4_096;
/// Longest word that is kept.
const WORD_BYTES_MAX: usize = 24;

/// What parsers trip over, whatever their language.
const ODD: &[&[u8]] = &[
    b"",
    b"\0",
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    "é".as_bytes(),
    "\u{2028}".as_bytes(),
    "𝄞".as_bytes(),
    b"0",
    b"-0",
    b"-0.0",
    b"1e309",
    b"1e-400",
    b"NaN",
    b".inf",
    b"null",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"18446744073709551616",
    b"0x7fffffffffffffff",
    b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x3b\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xfb\x7f\xf8\x00\x00\x00\x00\x00\x00",
    b"\xf9\x7e\x00",
    b"\x9f",
    b"\xf6",
    b"[[[[[[[[",
    b"{{{{",
    b"((((((((",
    b"\"",
    b"'",
    b"\\",
    b"\n",
    b"\r\n",
    b"\t",
    b": ",
    b"- ",
    b"${",
    b"&a ",
    b"*a",
    b"<<: ",
    b"!!str ",
    b"? ",
    b"|\n",
    b"---\n",
    b"# ",
    b"../",
    b"file://",
];

/// Makes new inputs of known ones.
#[derive(Debug)]
pub struct Mutator {
    random: Random,
    known: Vec<Vec<u8>>,
    words: BTreeSet<Vec<u8>>,
    dictionary: Vec<Vec<u8>>,
}

impl Mutator {
    /// The same inputs in the same order come of the same seed and the same known inputs.
    #[must_use]
    pub fn new(seed: u64, known: Vec<Vec<u8>>) -> Self {
        let mut new =
            Self { random: Random(seed), known: Vec::new(), words: BTreeSet::new(), dictionary: Vec::new() };
        known.into_iter().for_each(|input| new.learn(input));
        new
    }

    /// How many inputs are known.
    #[must_use]
    pub const fn known(&self) -> usize {
        self.known.len()
    }

    /// Makes further inputs of this one too.
    pub fn learn(&mut self, input: Vec<u8>) {
        for word in input.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_') {
            let fits = (2..=WORD_BYTES_MAX).contains(&word.len()) && self.dictionary.len() < WORDS_MAX;
            if fits && self.words.insert(word.to_vec()) {
                self.dictionary.push(word.to_vec());
            }
        }
        self.known.push(input);
    }

    /// The next input.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.random.pick(&self.known).cloned().unwrap_or_default();
        for _ in 0..=self.random.below(CHANGES_MAX) {
            self.change(&mut input);
        }
        input.truncate(BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.random.below(input.len() + 1);
        match self.random.below(12) {
            0 => {
                let bit = self.random.below(8);
                input.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << bit);
            }
            1 => {
                let [new, ..] = self.random.next().to_le_bytes();
                input.get_mut(at).into_iter().for_each(|byte| *byte = new);
            }
            2 => {
                let step = self.random.below(8);
                let up = u8::try_from(step).unwrap_or(0);
                let by = if self.random.below(2) == 0 { up + 1 } else { 0_u8.wrapping_sub(up + 1) };
                input.get_mut(at).into_iter().for_each(|byte| *byte = byte.wrapping_add(by));
            }
            3 => drop(input.drain(self.range(input.len(), at))),
            4 => {
                let piece = input.get(self.range(input.len(), at)).unwrap_or_default().to_vec();
                let to = self.random.below(input.len() + 1);
                let times = if self.random.below(8) == 0 { self.random.below(200) } else { 1 };
                if piece.len().saturating_mul(times) <= BYTES_MAX {
                    splice(input, to, 0, &piece.repeat(times));
                }
            }
            5 => input.truncate(at),
            6 | 7 => {
                let odd = self.random.pick(ODD).copied().unwrap_or_default();
                let over = if self.random.below(2) == 0 { odd.len() } else { 0 };
                splice(input, at, over, odd);
            }
            8 | 9 => {
                let word = self.random.pick(&self.dictionary).cloned().unwrap_or_default();
                let (from, len) = if self.random.below(3) == 0 { (at, 0) } else { word_at(input, at) };
                splice(input, from, len, &word);
            }
            10 => {
                let other = self.random.pick(&self.known).cloned().unwrap_or_default();
                let from = self.random.below(other.len() + 1);
                let piece = other.get(self.range(other.len(), from)).unwrap_or_default();
                let over = if self.random.below(2) == 0 { piece.len() } else { 0 };
                splice(input, at, over, piece);
            }
            _ => {
                // The same piece of two inputs that are alike: from here on the other one's.
                let other = self.random.pick(&self.known).cloned().unwrap_or_default();
                input.truncate(at);
                input.extend_from_slice(other.get(at..).unwrap_or_default());
            }
        }
    }

    /// A range from there: mostly short.
    fn range(&mut self, len: usize, at: usize) -> std::ops::Range<usize> {
        let most = if self.random.below(4) == 0 { len } else { 16 };
        at.min(len)..at.saturating_add(1 + self.random.below(most)).min(len)
    }
}

fn splice(input: &mut Vec<u8>, at: usize, over: usize, piece: &[u8]) {
    let from = at.min(input.len());
    let to = from.saturating_add(over).min(input.len());
    input.splice(from..to, piece.iter().copied());
}

/// The word around a place, or the next: where it starts and its length.
fn word_at(input: &[u8], at: usize) -> (usize, usize) {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let rest = input.get(at..).unwrap_or_default();
    let from = at + rest.iter().position(is_word).unwrap_or(0);
    let before = input.get(..from).unwrap_or_default().iter().rev().take_while(|byte| is_word(byte)).count();
    let after = input.get(from..).unwrap_or_default().iter().take_while(|byte| is_word(byte)).count();
    (from - before, before + after)
}
