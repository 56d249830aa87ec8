//! What tables and columns there are, as each database says itself, and whether the two agree.

use std::collections::BTreeSet;

use super::CopyError;

/// Tables that one of the engines has for itself: what is in them is no part of the past that is
/// copied. A table that is added to a schema and is not named here is copied.
const APART: [&str; 4] = [
    // Which versions may run on the schema.
    "schema_compatibility",
    // What keys used of their quotas; in the memory of the process where there is only one.
    "quota_used",
    // Whether the file is the past.
    "moved",
    // Which migrations were applied.
    "_sqlx_migrations",
];

/// Whether a table is part of what is copied.
pub(super) fn is_copied(table: &str) -> bool {
    !APART.contains(&table)
}

/// What a column holds. The kinds are PostgreSQL's, which has more of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    /// A number in SQLite: 0 or 1.
    Truth,
    Text,
    Bytes,
}

impl Kind {
    /// By the name of its type in PostgreSQL.
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "bigint" => Self::Integer,
            "boolean" => Self::Truth,
            "text" => Self::Text,
            "bytea" => Self::Bytes,
            _ => return None,
        })
    }

    /// The name of its type in SQLite.
    fn in_sqlite(self) -> &'static str {
        match self {
            Self::Integer | Self::Truth => "INTEGER",
            Self::Text => "TEXT",
            Self::Bytes => "BLOB",
        }
    }
}

/// A column in SQLite.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SqliteColumn {
    pub(super) table: String,
    pub(super) name: String,
    pub(super) type_name: String,
}

/// A column in PostgreSQL.
pub(super) struct PostgresColumn {
    pub(super) table: String,
    pub(super) name: String,
    pub(super) type_name: String,
    /// Its place in the primary key.
    pub(super) key: Option<i64>,
    /// Whether the database numbers the rows by it.
    pub(super) counts: bool,
}

/// What PostgreSQL says of itself.
pub(super) struct Catalogue {
    pub(super) columns: Vec<PostgresColumn>,
    /// Which table refers to which other one.
    pub(super) references: Vec<(String, String)>,
}

/// A column that is copied.
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) key: Option<i64>,
}

/// A table that is copied.
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// The column by which PostgreSQL numbers its rows.
    pub(super) counter: Option<String>,
}

impl Table {
    /// Its columns for a statement of either engine.
    pub(super) fn columns(&self) -> String {
        let quoted = self.columns.iter().map(|column| quoted(&column.name));
        quoted.collect::<Vec<_>>().join(", ")
    }

    /// Its primary key for a statement of either engine; after each text of it what is given.
    pub(super) fn key(&self, after_text: &str) -> String {
        let mut key: Vec<_> = self.columns.iter().filter(|column| column.key.is_some()).collect();
        key.sort_by_key(|column| column.key);
        let quoted = key.iter().map(|column| match column.kind {
            Kind::Text => quoted(&column.name) + after_text,
            _ => quoted(&column.name),
        });
        quoted.collect::<Vec<_>>().join(", ")
    }
}

/// A name for a statement of either engine. All of them are from a schema of ours.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The tables that are copied, each after those that it refers to. Fails unless both databases have
/// the same columns.
pub(super) fn agree(there: Catalogue, here: &[SqliteColumn]) -> Result<Vec<Table>, CopyError> {
    let mut expected = BTreeSet::new();
    let mut tables: Vec<Table> = Vec::new();
    for column in there.columns.into_iter().filter(|column| is_copied(&column.table)) {
        let PostgresColumn { table, name, type_name, key, counts } = column;
        let Some(kind) = Kind::of(&type_name) else {
            return Err(CopyError::Schemas(format!("{table}.{name}, which is {type_name}")));
        };
        expected.insert(SqliteColumn {
            table: table.clone(),
            name: name.clone(),
            type_name: kind.in_sqlite().to_owned(),
        });
        if tables.last().is_none_or(|last| last.name != table) {
            tables.push(Table { name: table, columns: Vec::new(), counter: None });
        }
        if let Some(table) = tables.last_mut() {
            table.counter = counts.then(|| name.clone()).or(table.counter.take());
            table.columns.push(Column { name, kind, key });
        }
    }
    let found: BTreeSet<_> = here.iter().filter(|it| is_copied(&it.table)).cloned().collect();
    if let Some(differs) = expected.symmetric_difference(&found).next() {
        return Err(CopyError::Schemas(format!("{}.{}", differs.table, differs.name)));
    }
    if let Some(table) = tables.iter().find(|table| table.key("").is_empty()) {
        return Err(CopyError::Schemas(format!("{}, which has no key", table.name)));
    }
    in_order(tables, &there.references)
}

/// Each after those that it refers to.
fn in_order(
    mut waiting: Vec<Table>,
    references: &[(String, String)],
) -> Result<Vec<Table>, CopyError> {
    let mut placed: Vec<Table> = Vec::new();
    while !waiting.is_empty() {
        let is_placed = |name: &String| placed.iter().any(|table| table.name == *name);
        let is_ready = |table: &Table| {
            let mut needed =
                references.iter().filter(|(from, to)| *from == table.name && from != to);
            needed.all(|(_, to)| is_placed(to))
        };
        let (ready, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(is_ready);
        if ready.is_empty() {
            let names: Vec<_> = rest.iter().map(|table| table.name.as_str()).collect();
            return Err(CopyError::Schemas(format!(
                "{}, which refer to each other",
                names.join(", ")
            )));
        }
        placed.extend(ready);
        waiting = rest;
    }
    Ok(placed)
}
