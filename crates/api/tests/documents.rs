//! What is written down is what the server does.

#![expect(
    clippy::expect_used,
    reason = "a failed expectation is a failed test, in its helpers too"
)]

use std::path::Path;

use opencpm_api::document::{openapi, reference};
use serde_json::{Value, json};

fn kept(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_default()
}

#[test]
fn the_documents_in_the_tree_are_those_of_the_tables() {
    assert!(kept("openapi.json") == openapi(), "run `cargo xtask docs`");
    assert!(kept("api-reference.md") == reference(), "run `cargo xtask docs`");
}

/// The schema of an action's body.
fn body(path: &str, media_type: &str) -> Value {
    let document: Value = serde_json::from_str(&openapi()).expect("JSON");
    document["paths"][path]["post"]["requestBody"]["content"][media_type]["schema"].clone()
}

#[test]
fn an_empty_text_stands_for_nothing_that_is_required() {
    let in_json = body("/#CreateAccount", "application/json");
    assert_eq!(in_json["properties"]["Name"]["minLength"], 1);
    let in_form = body("/v2/index.php#CreateAccount", "application/x-www-form-urlencoded");
    assert_eq!(in_form["properties"]["name"]["minLength"], 1);
    let optional = body("/#ModifyAccount", "application/json");
    assert_eq!(optional["properties"]["Name"].get("minLength"), None);
}

#[test]
fn any_upper_case_name_may_come_with_an_action_of_api_2_0() {
    let form = body("/v2/index.php#DescribeAccounts", "application/x-www-form-urlencoded");
    assert!(form["patternProperties"].get("^[A-Z]").is_some());
    assert_eq!(form["additionalProperties"], json!(false), "a lower-case name is an error");
}
