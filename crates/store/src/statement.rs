//! A statement with its parameters, for either engine.
//!
//! Most statements are the same text for both: parameters are `$1`, `$2`, ..., and what is compared
//! is typed alike in both schemas. Where the engines differ there are two texts side by side; the
//! parameters and the columns of the answer are the same.

use std::sync::Arc;

use opencpm_operations::port::StoreError;

/// Which engine reads a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// The text of a statement for each engine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sql {
    sqlite: &'static str,
    postgres: &'static str,
}

/// Two texts for one statement.
pub(crate) const fn each(sqlite: &'static str, postgres: &'static str) -> Sql {
    Sql { sqlite, postgres }
}

impl Sql {
    /// The text for this engine.
    pub(crate) const fn of(self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        each(text, text)
    }
}

/// A parameter, which may be null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Integer(Option<i64>),
    Truth(Option<bool>),
    Text(Option<Arc<str>>),
    /// JSON as text: a list, taken apart by the statement.
    Json(Option<Arc<str>>),
    Bytes(Option<Vec<u8>>),
}

/// A list as one parameter.
#[derive(Clone, Debug)]
pub(crate) struct Json(Arc<str>);

/// A list as one parameter.
pub(crate) fn json<T: serde::Serialize>(list: &[T]) -> Result<Json, StoreError> {
    json_of(list)
}

/// The same for items that are made one by one, so that a long list is in memory once.
pub(crate) fn json_of(
    items: impl IntoIterator<Item: serde::Serialize>,
) -> Result<Json, StoreError> {
    let mut text = Vec::new();
    let mut json = serde_json::Serializer::new(&mut text);
    let written = serde::Serializer::collect_seq(&mut json, items);
    written.map_err(|e| StoreError::Unavailable(Box::new(e)))?;
    let text = String::from_utf8(text).map_err(|e| StoreError::Unavailable(Box::new(e)))?;
    Ok(Json(text.into()))
}

macro_rules! values {
    ($($from:ty => $variant:ident, $convert:expr;)+) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                let convert: fn($from) -> _ = $convert;
                Self::$variant(Some(convert(value)))
            }
        }

        impl From<Option<$from>> for Value {
            fn from(value: Option<$from>) -> Self {
                let convert: fn($from) -> _ = $convert;
                Self::$variant(value.map(convert))
            }
        }
    )+};
}

values! {
    i64 => Integer, |value| value;
    u32 => Integer, i64::from;
    u8 => Integer, i64::from;
    bool => Truth, |value| value;
    &str => Text, |value| value.into();
    &String => Text, |value| value.as_str().into();
    String => Text, |value| value.into();
    &[u8] => Bytes, |value| value.to_vec();
    Vec<u8> => Bytes, |value| value;
}

impl From<&Option<String>> for Value {
    fn from(value: &Option<String>) -> Self {
        value.as_deref().into()
    }
}

impl From<Json> for Value {
    fn from(Json(text): Json) -> Self {
        Self::Json(Some(text))
    }
}

impl From<Option<Json>> for Value {
    fn from(value: Option<Json>) -> Self {
        Self::Json(value.map(|Json(text)| text))
    }
}

/// A statement, ready to be run.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    text: Text,
    values: Vec<Value>,
}

#[derive(Clone, Debug)]
enum Text {
    Fixed(Sql),
    Made(String),
}

/// A statement without parameters so far.
pub(crate) fn query(sql: impl Into<Sql>) -> Statement {
    Statement { text: Text::Fixed(sql.into()), values: Vec::new() }
}

impl Statement {
    /// Gives it the next parameter.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Its text and its parameters.
    pub(crate) fn parts(&self, dialect: Dialect) -> (&str, &[Value]) {
        let text = match &self.text {
            Text::Fixed(sql) => sql.of(dialect),
            Text::Made(text) => text,
        };
        (text, &self.values)
    }
}

/// A statement whose text depends on what is asked for. The pieces of text are fixed; what a
/// caller sent is only ever a parameter.
pub(crate) struct Builder {
    dialect: Dialect,
    text: String,
    values: Vec<Value>,
}

impl Builder {
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { dialect, text: String::new(), values: Vec::new() }
    }

    /// Adds text.
    pub(crate) fn push(&mut self, sql: impl Into<Sql>) -> &mut Self {
        self.text.push_str(sql.into().of(self.dialect));
        self
    }

    /// Adds a parameter where the text is now.
    pub(crate) fn push_bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
        self
    }

    /// Adds a table of the elements of a list, in a column `value`.
    pub(crate) fn push_list(&mut self, list: Json) -> &mut Self {
        self.push(each("json_each(", "json_array_elements("));
        self.push_bind(list).push(each(")", "::json) AS line (value)"))
    }

    /// Which engine reads it.
    pub(crate) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The statement.
    pub(crate) fn build(self) -> Statement {
        Statement { text: Text::Made(self.text), values: self.values }
    }
}
