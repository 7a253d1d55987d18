//! Checkpoints against another implementation of signed notes and checkpoints.

use abide_store::{LogSigner, LogVerifier, MemoryDisk, SignerError};
use signed_note::{Note, StandardVerifier, VerifierList};

use crate::support::{append, create, records, signer};

#[test]
fn a_checkpoint_reads_as_a_signed_note() {
    let mut log = create(&MemoryDisk::new());
    let checkpoint = append(&mut log, 1, &records(1)).unwrap();
    insta::assert_snapshot!(checkpoint.note, @r"
    abide.example/host
    3
    h3y3GxiRoZQE6boQAoc5UVN6KSSYU2aikcq026GlVVg=

    — abide.example/host 0aibPPtzJ2pE77FeLDYNCSU2xlLHRiXaLsRZrxxYC7pRvb6CTpYycRjM5/0Mo/Cxv19WOtk4N2mUB2zK2lRWEkGbQAE=
    ");
    let key = signer().verifier().verifier_key();
    insta::assert_snapshot!(key, @"abide.example/host+d1a89b3c+AepKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs");

    let verifier = StandardVerifier::new(&key).unwrap();
    let note = Note::from_bytes(checkpoint.note.as_bytes()).unwrap();
    let (verified, unverified) = note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    assert_eq!((verified.len(), unverified.len()), (1, 0));
    let parsed = tlog_tiles::checkpoint::Checkpoint::from_bytes(note.text()).unwrap();
    assert_eq!((parsed.size(), parsed.hash().0), (checkpoint.size, checkpoint.root));
}

#[test]
fn a_note_verifies_whole_or_not_at_all() {
    let mut log = create(&MemoryDisk::new());
    let checkpoint = append(&mut log, 1, &records(1)).unwrap();
    let verifier = signer().verifier().clone();
    assert_eq!(verifier.verify_note(&checkpoint.note), Some((3, checkpoint.root)));
    for at in 0..checkpoint.note.len() {
        let mut bytes = checkpoint.note.clone().into_bytes();
        bytes[at] ^= 1;
        if let Ok(altered) = String::from_utf8(bytes) {
            assert_eq!(verifier.verify_note(&altered), None, "byte {at}");
        }
        if let Some(cut) = checkpoint.note.get(..at) {
            assert_eq!(verifier.verify_note(cut), None, "first {at} bytes");
        }
    }
    let other = LogSigner::new("abide.example/host", &[8; 32]).unwrap();
    assert_eq!(other.verifier().verify_note(&checkpoint.note), None);
    assert_eq!(verifier.verify_note(&format!("{}\n", checkpoint.note)), None);
}

#[test]
fn an_origin_fits_a_line_of_a_note() {
    for origin in
        ["", "two words", "a+b", "tab\there", "line\n", "wide\u{3000}space", "\u{7f}", &"x".repeat(256)]
    {
        let refused = LogSigner::new(origin, &[1; 32]).unwrap_err();
        assert!(matches!(refused, SignerError::Origin { .. }), "{origin:?}");
    }
    for origin in ["a", "abide.example/NABC", "höst", &"x".repeat(255)] {
        LogSigner::new(origin, &[1; 32]).unwrap();
    }
    insta::assert_snapshot!(LogSigner::new("a\nb", &[1; 32]).unwrap_err(), @r#"`a\nb` cannot name a log: an origin has 1 to 255 bytes, without spaces, plus or control characters"#);
    assert_eq!(LogVerifier::new("a", &[2; 32]), Err(SignerError::Key));
}

#[test]
fn a_signer_does_not_show_its_key() {
    let shown = format!("{:?}", LogSigner::new("a", &[0xab; 32]).unwrap());
    assert!(!shown.contains("abab") && !shown.contains("171, 171"), "{shown}");
}
