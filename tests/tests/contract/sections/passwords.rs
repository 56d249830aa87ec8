//! The default password policy, row by row (contract section 6).

use opencpm_domain::Condition::*;
use opencpm_tests::wire::escaped;

use super::Section;
use crate::ask::{ALL, Ask, BOTH, FORMS, reset};
use crate::case::{Case, done, refused};

pub(super) fn section() -> Section {
    let with = |password: &str| reset().with("passwd", password);
    let mut cases = Vec::new();
    for (what, password) in [
        ("letters and digits", "abce1234"),
        ("letters and symbols", "abcd!@#$"),
        ("digits and symbols", "1234!@#$"),
        ("16 characters", "abcdefgh12345678"),
        ("all ten symbols", "A!@#$%&^*()"),
        ("a percent sign and digits", "abcd%41x"),
        ("an ampersand", "abcd&efg"),
        ("@ in front", "@bce1234"),
    ] {
        cases.push(done(format!("{what}: {password}"), BOTH, with(password)));
    }
    let one_class = ["abcdefgh", "ABCDefgh", "12345678", "!@#$%^&*"];
    let lengths = ["abce123", "abcdefgh123456789"];
    for password in one_class.into_iter().chain(lengths) {
        cases.push(breaks(password.to_owned(), password));
    }
    for (what, password) in [
        ("a space", "abce 1234"),
        ("a space in front", " abce1234"),
        ("a space behind", "abce1234 "),
        ("a tab", "abce\t1234"),
        ("a plus sign", "abce+1234"),
        ("-", "abce-1234"),
        ("_", "abce_1234"),
        ("=", "abce=1234"),
        (".", "abce.1234"),
        ("a quotation mark", "abce\"1234"),
        ("a backslash", "abce\\1234"),
        ("~", "abce~1234"),
        ("NUL", "abce\u{0}1234"),
        ("a line feed", "abce\n1234"),
        ("a line feed behind", "abce1234\n"),
        ("a carriage return", "abce\r1234"),
        ("é", "abceé1234"),
        ("digits of full width", "abce１２３４"),
        ("a letter that looks like another", "аbce1234"),
        ("an emoji", "abce123🔑"),
        ("DEL", "abce\u{7f}1234"),
    ] {
        cases.push(breaks(what.to_owned(), password));
    }
    let plus = with("abce 1234").form(|f| f.encode = |text| escaped(text).replace("%20", "+"));
    cases.push(refused("a plus sign that is not encoded", FORMS, plus, ParameterOutOfBounds));
    cases.push(refused("empty", ALL, with(""), ParameterMissing));
    cases.push(refused(
        "100,000 characters",
        &ALL[1..2],
        with(&"a1".repeat(50_000)),
        ParameterOutOfBounds,
    ));
    Section { title: "passwords", cases, stories: Vec::new() }
}

/// The message says which rule, and does not show the password.
fn breaks(what: String, password: &'static str) -> Case {
    let ask: Ask = reset().with("passwd", password);
    refused(what, ALL, ask, ParameterOutOfBounds).says("password").hides(password)
}
