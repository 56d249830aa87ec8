//! The gateways' addresses, as a server names them: what is taken is the same when it is written
//! and read again, and shows nothing but letters, digits and signs of an address.
#![no_main]

use opencpm_agent::address::{Address, usable};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let named: Vec<_> = text.split('\u{1e}').map(str::to_owned).collect();
    for text in usable(named.clone()) {
        assert!(named.contains(&text));
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:/[]".contains(&b)));
        let address = text.parse::<Address>().expect("it is usable");
        assert!(address.port > 0 && !address.host.is_empty());
        // The same address: one of IPv6 has several forms.
        let written = address.to_string();
        assert!(written.parse().is_ok_and(|read: Address| read.to_string() == written));
    }
});
