//! Types of parameters and fields: in words, and as JSON Schema.

use opencpm_domain::{DeviceStatus, OperateStatus, PasswordPolicy};
use serde_json::{Value, json};

use crate::action::{ACTIONS, Accepted, Kind, MOST_ITEMS, Parameter, tag_names};
use crate::answer::{Field, Holds, Shape, When};
use crate::dialect::Dialect;

/// 2^53-1 is easier to read than its digits.
fn shown(number: u64) -> String {
    if number == (1 << 53) - 1 { "2^53-1".to_owned() } else { number.to_string() }
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What the values of a parameter are, in words.
pub(super) fn in_words(kind: Kind, dialect: Dialect) -> String {
    match kind {
        Kind::Text { most } => format!("text, at most {most} characters"),
        Kind::Texts { most } => format!("list of texts, at most {most} characters each"),
        Kind::Choice(names) => listed(names),
        Kind::Choices(names) => format!("list of {}", listed(names)),
        Kind::Password => "text, see the policy".to_owned(),
        Kind::Integer { least, most, most_v3 } => {
            let most = if dialect == Dialect::V2 { most } else { most_v3 };
            format!("integer, {least} to {}", shown(most))
        }
        Kind::Integers { least, most } => format!("list of integers, {least} to {}", shown(most)),
        Kind::Flag => "0 or 1".to_owned(),
        Kind::Instance => "id".to_owned(),
        Kind::Instances { distinct: true } => "list of ids, no id twice".to_owned(),
        Kind::Instances { distinct: false } => "list of ids".to_owned(),
        Kind::Time => "`YYYY-MM-DD HH:MM:SS`".to_owned(),
        Kind::Day => "`YYYY-MM-DD` or with ` HH:MM:SS`".to_owned(),
        Kind::DeviceStatus => "device status".to_owned(),
        Kind::DeviceStatuses => "list of device statuses".to_owned(),
        Kind::OperateStatus => "operate status, not 11".to_owned(),
        Kind::SecretId => "secret id".to_owned(),
        Kind::Uin => "1 to 20 digits".to_owned(),
        Kind::Actions => "list of action names".to_owned(),
        Kind::Tags => {
            let (key, values) = tag_names(dialect);
            format!("list of tags: `{key}` and a list `{values}`")
        }
    }
}

/// A day of the calendar, but for the length of months.
const DATE: &str = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])";

/// A time of day behind its date.
const TIME: &str = " ([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]";

/// The schema of one value: of the parameter itself, or of an item of its list.
fn one(kind: Kind, dialect: Dialect) -> Value {
    let text = |pattern: &str| json!({"type": "string", "pattern": pattern});
    let numbers = |numbers: Vec<u8>| json!({"type": "integer", "enum": numbers});
    let device_statuses = || (0..=u8::MAX).filter(|n| DeviceStatus::try_from(*n).is_ok()).collect();
    match kind {
        Kind::Text { most } | Kind::Texts { most } => json!({"type": "string", "maxLength": most}),
        Kind::Choice(names) | Kind::Choices(names) => json!({"type": "string", "enum": names}),
        Kind::Password => json!({
            "type": "string", "format": "password", "minLength": 8, "maxLength": 16,
            "pattern": "^[A-Za-z0-9!@#$%&^*()]*$",
            "description": format!("By default: letters, digits, {}; at least two of letters, \
                digits and symbols.", PasswordPolicy::Seed.symbols()),
        }),
        Kind::Integer { least, most, most_v3 } => {
            let most = if dialect == Dialect::V2 { most } else { most_v3 };
            json!({"type": "integer", "minimum": least, "maximum": most})
        }
        Kind::Integers { least, most } => {
            json!({"type": "integer", "minimum": least, "maximum": most})
        }
        Kind::Flag => numbers(vec![0, 1]),
        Kind::Instance | Kind::Instances { .. } | Kind::SecretId => text("^[A-Za-z0-9_-]{1,64}$"),
        Kind::Time => text(&format!("^{DATE}{TIME}$")),
        Kind::Day => text(&format!("^{DATE}({TIME})?$")),
        Kind::DeviceStatus | Kind::DeviceStatuses => numbers(device_statuses()),
        Kind::OperateStatus => {
            let settable = |n: &u8| OperateStatus::try_from(*n).is_ok() && *n != 11;
            numbers((0..=u8::MAX).filter(settable).collect())
        }
        Kind::Uin => text("^[0-9]{1,20}$"),
        Kind::Actions => {
            let names: Vec<_> = ACTIONS.iter().flat_map(|action| action.names).collect();
            json!({"type": "string", "enum": names})
        }
        Kind::Tags => {
            let (key, values) = tag_names(dialect);
            json!({
                "type": "object",
                "properties": {
                    key: {"type": "string", "minLength": 1, "maxLength": 127},
                    values: {"type": "array", "maxItems": 50,
                        "items": {"type": "string", "maxLength": 255}},
                },
                "required": [key],
                "additionalProperties": false,
            })
        }
    }
}

/// The schema of one value as an action takes it: what is required is not empty, for an empty
/// text counts as missing (contract section 6).
fn one_of(accepted: &Accepted, dialect: Dialect) -> Value {
    let mut schema = one(accepted.parameter.kind, dialect);
    if accepted.required && matches!(accepted.parameter.kind, Kind::Text { .. }) {
        schema["minLength"] = 1.into();
    }
    schema
}

/// The schema of a parameter in a JSON body.
pub(super) fn in_json(accepted: &Accepted) -> Value {
    let (parameter, one) = (accepted.parameter, one_of(accepted, Dialect::V3));
    let mut schema = match parameter.kind {
        Kind::Tags => json!({"type": "array", "minItems": 1, "maxItems": 50, "items": one}),
        kind if kind.is_list() => {
            json!({"type": "array", "minItems": 1, "maxItems": MOST_ITEMS, "items": one,
                "uniqueItems": matches!(kind, Kind::Instances { distinct: true })})
        }
        _ => one,
    };
    schema["title"] = parameter.meaning.into();
    schema
}

/// Names, or patterns of names, each with its schema.
type Schemas = Vec<(String, Value)>;

/// A parameter in a form: its properties, and the patterns of further ones.
pub(super) fn in_form(accepted: &Accepted) -> (Schemas, Schemas) {
    let Parameter { name, kind, meaning, .. } = accepted.parameter;
    let mut schema = one_of(accepted, Dialect::V2);
    if *kind == Kind::Tags {
        let (key, values) = tag_names(Dialect::V2);
        let part = |part: &str| schema["properties"][part].clone();
        let (key_schema, value_schema) = (part(key), part(values)["items"].clone());
        let index = "(0|[1-9][0-9]?)";
        return (
            Vec::new(),
            vec![
                (format!("^{name}\\.{index}\\.{key}$"), key_schema),
                (format!("^{name}\\.{index}\\.{values}\\.{index}$"), value_schema),
            ],
        );
    }
    schema["title"] = (*meaning).into();
    match kind.is_list() {
        true => {
            let more = format!("^{name}\\.(0|[1-9][0-9]{{0,5}})$");
            (vec![(format!("{name}.0"), schema.clone())], vec![(more, schema)])
        }
        false => (vec![((*name).to_owned(), schema)], Vec::new()),
    }
}

/// What a field holds, in words.
pub(super) fn field_in_words(field: &Field, dialect: Dialect, in_shape: &Shape) -> String {
    let linked = |shape: &Shape| format!("[{}](#{})", shape.name, shape.name.to_lowercase());
    let holds = match field.holds {
        Holds::Number if in_shape.has_texts_only(dialect) => "text of digits".to_owned(),
        Holds::Text => "text".to_owned(),
        Holds::Number => "number".to_owned(),
        Holds::Flag => "true or false".to_owned(),
        Holds::Texts => "list of texts".to_owned(),
        Holds::Object(shape) => linked(shape),
        Holds::Objects(shape) => format!("list of {}", linked(shape)),
    };
    match field.when {
        When::Always => holds,
        When::Sometimes => format!("{holds}; may be absent"),
        When::OrNull => format!("{holds}, or null"),
    }
}

/// The name of a shape's schema.
pub(super) fn component(shape: &Shape, dialect: Dialect) -> String {
    let dialect = if dialect == Dialect::V2 { "V2" } else { "V3" };
    format!("{dialect}.{}", shape.name)
}

/// The schema of an answer's object. `more` is what the envelope adds.
pub(super) fn object(shape: &'static Shape, dialect: Dialect, more: &[&'static Field]) -> Value {
    let more = more.iter().filter_map(|field| Some((field.name_in(dialect)?, *field)));
    let (mut properties, mut required) = (serde_json::Map::new(), Vec::new());
    for (name, field) in shape.fields_in(dialect).chain(more) {
        properties.insert(name.to_owned(), field_schema(field, dialect, shape));
        if field.when != When::Sometimes {
            required.push(name);
        }
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn field_schema(field: &Field, dialect: Dialect, in_shape: &Shape) -> Value {
    let reference =
        |shape| json!({"$ref": format!("#/components/schemas/{}", component(shape, dialect))});
    let mut schema = match field.holds {
        Holds::Number if in_shape.has_texts_only(dialect) => {
            json!({"type": "string", "pattern": "^[0-9]+$"})
        }
        Holds::Text => json!({"type": "string"}),
        Holds::Number => json!({"type": "integer", "minimum": 0, "maximum": (1_u64 << 53) - 1}),
        Holds::Flag => json!({"type": "boolean"}),
        Holds::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Holds::Object(shape) => reference(shape),
        Holds::Objects(shape) => json!({"type": "array", "items": reference(shape)}),
    };
    if field.when == When::OrNull {
        schema["type"] = json!([schema["type"], "null"]);
    }
    schema["title"] = field.meaning.into();
    schema
}
