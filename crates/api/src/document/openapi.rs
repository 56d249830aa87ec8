//! The OpenAPI document.
//!
//! Both dialects send every action to one path and name it in a parameter or a header. OpenAPI
//! has no word for that; a fragment behind the path, which is never sent, tells the actions apart.

use serde_json::{Map, Value, json};

use super::schema::{component, in_form, in_json, object};
use super::{COMMON, code};
use crate::action::{ACTIONS, Action};
use crate::answer::{CONTENT_TYPE, REQUEST_ID, SHAPES};
use crate::dialect::{Dialect, VERSION};

/// The document, as JSON.
pub fn openapi() -> String {
    let mut paths = Map::new();
    for action in ACTIONS {
        let [v2, v3] = [Dialect::V2, Dialect::V3].map(Dialect::path);
        for name in action.names {
            paths.insert(format!("{v2}#{name}"), json!({"post": operation_v2(action, name)}));
        }
        if let Some(name) = action.name_v3 {
            paths.insert(format!("{v3}#{name}"), json!({"post": operation_v3(action, name)}));
        }
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "OpenCPM",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Resets the root password of physical machines.",
            "description": "All actions of a dialect have one path; the fragment tells them apart \
                and is not sent. Every answer has status 200, errors too, but for other methods \
                than GET and POST (405). API 2.0 is signed by a field of the form. Every action \
                can be asked with GET as well, and API 3.0 with the older v1 signature.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "https://localhost:8443"}],
        "paths": paths,
        "components": {
            "schemas": components(),
            "securitySchemes": {
                "tc3": {"type": "apiKey", "in": "header", "name": "Authorization",
                    "description": "API 3.0: TC3-HMAC-SHA256."},
            },
        },
    });
    format!("{document:#}\n")
}

fn components() -> Map<String, Value> {
    let both = |shape| [Dialect::V2, Dialect::V3].map(|dialect| (shape, dialect));
    let all = SHAPES.iter().copied().flat_map(both);
    let has_fields = |(shape, dialect): &(&'static crate::answer::Shape, Dialect)| {
        shape.fields_in(*dialect).next().is_some()
    };
    let shapes = all
        .filter(has_fields)
        .map(|(shape, dialect)| (component(shape, dialect), object(shape, dialect, &[])));
    let failures = ACTIONS.iter().flat_map(|action| {
        [(Dialect::V2, failure_v2(action)), (Dialect::V3, failure_v3(action))]
            .map(|(dialect, schema)| (failure_name(action, dialect), schema))
    });
    shapes.chain(failures).collect()
}

/// Actions that raise the same share a schema: it is named after the first of them.
fn failure_name(action: &Action, dialect: Dialect) -> String {
    let same = |other: &&Action| codes(other, dialect) == codes(action, dialect);
    let first = ACTIONS.iter().find(same).map_or("", Action::name);
    let dialect = if dialect == Dialect::V2 { "V2" } else { "V3" };
    format!("{dialect}.Failure.{first}")
}

fn failure(action: &Action, dialect: Dialect) -> Value {
    json!({"$ref": format!("#/components/schemas/{}", failure_name(action, dialect))})
}

fn operation_v2(action: &Action, name: &str) -> Value {
    let mut properties = json!({
        "Action": {"const": name},
        "SecretId": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        "Timestamp": {"type": "integer", "minimum": 0, "title": "Unix seconds."},
        "Nonce": {"type": "integer", "minimum": 0, "maximum": u64::MAX},
        "Signature": {"type": "string", "title": "Base64."},
        "SignatureMethod": {"type": "string", "enum": ["HmacSHA1", "HmacSHA256"]},
        "Region": {"type": "string", "title": "Accepted, and without effect."},
        "Token": {"type": "string", "title": "Of a temporary key."},
        "RequestClient": {"type": "string", "title": "Name of the client, for the log."},
    });
    let mut required = vec!["Action", "SecretId", "Timestamp", "Nonce", "Signature"]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    let mut patterns = Map::new();
    let ignored = json!({"title": "Any other upper-case name: signed like all, and ignored."});
    patterns.insert("^[A-Z]".to_owned(), ignored);
    for accepted in action.parameters {
        let (named, more) = in_form(accepted);
        for (name, schema) in named {
            if accepted.required {
                required.push(name.clone());
            }
            properties[name] = schema;
        }
        patterns.extend(more);
    }
    let body = json!({
        "type": "object",
        "properties": properties,
        "patternProperties": patterns,
        "required": required,
        "additionalProperties": false,
    });
    json!({
        "operationId": format!("v2.{name}"),
        "summary": action.meaning,
        "tags": ["API 2.0"],
        "requestBody": {"required": true,
            "content": {"application/x-www-form-urlencoded": {"schema": body}}},
        "responses": {"200": answer(vec![success_v2(action), failure(action, Dialect::V2)])},
    })
}

fn operation_v3(action: &Action, name: &str) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for accepted in action.parameters {
        let Some(name) = accepted.parameter.name_v3 else { continue };
        properties.insert(name.to_owned(), in_json(accepted));
        if accepted.required {
            required.push(name);
        }
    }
    let body = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    let header = |name: &str, required: bool, schema: Value| json!({"name": name, "in": "header", "required": required, "schema": schema});
    json!({
        "operationId": format!("v3.{name}"),
        "summary": action.meaning,
        "tags": ["API 3.0"],
        "security": [{"tc3": []}],
        "parameters": [
            header("X-TC-Action", true, json!({"const": name})),
            header("X-TC-Version", true, json!({"const": VERSION})),
            header("X-TC-Timestamp", true, json!({"type": "integer", "minimum": 0})),
            header("X-TC-Region", false, json!({"type": "string", "pattern": "^[a-z0-9-]*$"})),
            header("X-TC-Token", false, json!({"type": "string", "pattern": "^[A-Za-z0-9]*$"})),
        ],
        "requestBody": {"required": true, "content": {CONTENT_TYPE: {"schema": body}}},
        "responses": {"200": answer(vec![success_v3(action), failure(action, Dialect::V3)])},
    })
}

fn answer(forms: Vec<Value>) -> Value {
    json!({
        "description": "What was asked for, or an error.",
        "content": {CONTENT_TYPE: {"schema": {"oneOf": forms}}},
    })
}

/// The codes that the action can answer in the dialect, each once.
fn codes(action: &Action, dialect: Dialect) -> Vec<String> {
    let all = COMMON.iter().chain(action.raises);
    let mut codes: Vec<_> = all.filter_map(|condition| code(*condition, dialect)).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

fn success_v2(action: &Action) -> Value {
    let mut properties = json!({
        "code": {"const": 0},
        "message": {"const": "OK"},
        "codeDesc": {"const": "Success"},
    });
    let mut required = vec!["code", "message", "codeDesc"];
    if !action.answer.fields.is_empty() {
        let data = component(action.answer, Dialect::V2);
        properties["data"] = json!({"$ref": format!("#/components/schemas/{data}")});
        required.push("data");
    }
    closed(&properties, &required)
}

fn failure_v2(action: &Action) -> Value {
    let codes = codes(action, Dialect::V2).into_iter().filter_map(|code| code.parse::<u16>().ok());
    let properties = json!({
        "code": {"type": "integer", "enum": codes.collect::<Vec<_>>()},
        "message": {"type": "string", "pattern": "^\\([0-9]+\\)"},
        "codeDesc": {"type": "string"},
    });
    closed(&properties, &["code", "message", "codeDesc"])
}

fn success_v3(action: &Action) -> Value {
    let response = object(action.answer, Dialect::V3, &[&REQUEST_ID]);
    closed(&json!({"Response": response}), &["Response"])
}

fn failure_v3(action: &Action) -> Value {
    let error = json!({
        "Code": {"type": "string", "enum": codes(action, Dialect::V3)},
        "Message": {"type": "string"},
    });
    let response = json!({
        "Error": closed(&error, &["Code", "Message"]),
        "RequestId": {"type": "string"},
    });
    let response = closed(&response, &["Error", "RequestId"]);
    closed(&json!({"Response": response}), &["Response"])
}

fn closed(properties: &Value, required: &[&str]) -> Value {
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}
