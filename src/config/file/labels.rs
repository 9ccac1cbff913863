//! The tags and the metadata of the server.
//!
//! *Control path.* Pure.

use super::values::wrong_type;
use super::{Field, Reader};
use crate::config::language::Value;

/// `server_tags`.
pub(in crate::config) fn tags<'a>(reader: &mut Reader<'a>, field: &Field<'a>) {
    for tag in reader.texts(field) {
        reader.draft.options.labels.add_tag(tag.value);
    }
}

/// `server_metadata`.
pub(in crate::config) fn metadata<'a>(reader: &mut Reader<'a>, field: &Field<'a>) {
    for (name, entry) in field.map().in_order() {
        if let Value::Text(text) = &entry.value {
            let metadata = &mut reader.draft.options.labels.metadata;
            metadata.insert(name.to_owned(), text.to_string());
        } else {
            let reason = wrong_type(name, "a text", &entry.value);
            reader.fault(entry.position, reason);
        }
    }
}
