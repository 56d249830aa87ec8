//! A frame of either side: refused, passed over, or a message that is the same when it is encoded
//! and read again. No message shows a token's secret.
#![no_main]

use opencpm_protocol::message::{FrameError, MAX_FRAME, ToAgent, ToServer};

libfuzzer_sys::fuzz_target!(|frame: &[u8]| {
    match ToServer::decode(frame) {
        Ok(Some(message)) => {
            let again = message.encode();
            // What is encoded anew is in its shortest form, but for lists that had no length.
            assert!(again.len() <= 2 * frame.len());
            assert!(ToServer::decode(&again).is_ok_and(|read| read.as_ref() == Some(&message)));
            assert!(!format!("{message:?}").contains("secret"));
        }
        Ok(None) => {}
        Err(FrameError::TooLarge(size)) => assert!(size > MAX_FRAME),
        Err(FrameError::Malformed(_)) => assert!(frame.len() <= MAX_FRAME),
    }
    if let Ok(Some(message)) = ToAgent::decode(frame) {
        let again = message.encode();
        assert!(again.len() <= 2 * frame.len());
        assert!(ToAgent::decode(&again).is_ok_and(|read| read == Some(message)));
    }
});
