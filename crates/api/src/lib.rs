//! The edge: decodes signed requests into operations and encodes their answers.
