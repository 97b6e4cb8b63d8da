//! Structs in a list of signatures, which refer to them by name: `struct Order { address to; uint256 amount; }`.

use super::syntax::is_identifier;
use std::collections::HashMap;

/// Maximum length of a signature with all structs expanded, in bytes: nested structs can double it with every level.
const SPELLED_BYTES_MAX: usize = 16 << 10;
/// Maximum nesting of structs.
const DEPTH_MAX: usize = 8;

/// Fields of each struct, as a list of parameters.
#[derive(Default)]
pub(super) struct Structs(HashMap<String, String>);

impl Structs {
    /// Reads the structs among `lines`.
    pub(super) fn from_lines<'l>(lines: impl Iterator<Item = &'l str>) -> Self {
        let structs = lines.filter_map(|line| {
            let (name, fields) = line.trim().strip_prefix("struct ")?.split_once('{')?;
            let fields = fields.trim().trim_end_matches([';', '}', ' ']);
            let fields: Vec<&str> = fields.split(';').map(str::trim).filter(|field| !field.is_empty()).collect();
            let name = name.trim();
            (!name.is_empty() && is_identifier(name)).then(|| (name.to_owned(), fields.join(", ")))
        });
        Self(structs.collect())
    }

    /// Returns the line with every struct name replaced by its fields.
    ///
    /// # Errors
    /// When structs hold each other without an end, or the line gets too long.
    pub(super) fn expand_structs(&self, line: &str) -> Result<String, String> {
        if self.0.is_empty() {
            return Ok(line.to_owned());
        }
        let mut out = String::new();
        self.expand_into(line, 0, &mut out)?;
        Ok(out)
    }

    fn expand_into(&self, text: &str, depth: usize, out: &mut String) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err("its structs are nested too deep".to_owned());
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
        let mut rest = text;
        // A type follows a bracket or a comma. A name after a type is a parameter name, even when it is spelled like a
        // struct.
        let mut type_comes = depth > 0;
        while let Some(c) = rest.chars().next() {
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let (word, after) = if end > 0 { rest.split_at(end) } else { rest.split_at(c.len_utf8()) };
            match self.0.get(word).filter(|_| type_comes) {
                Some(fields) => {
                    out.push('(');
                    self.expand_into(fields, depth + 1, out)?;
                    out.push(')');
                }
                None => out.push_str(word),
            }
            if !c.is_whitespace() {
                type_comes = matches!(c, '(' | ',');
            }
            if out.len() > SPELLED_BYTES_MAX {
                return Err(format!("it is longer than {SPELLED_BYTES_MAX} bytes with its structs spelled out"));
            }
            rest = after;
        }
        Ok(())
    }
}
