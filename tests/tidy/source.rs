//! Reading Rust as text, as far as the house's rules need it: what is code, which paths it names, on which line.
//! Knows nothing of the rules themselves. Not a compiler: it trusts that the file compiles.

/// A path as the code names it, with grouped imports written out: `use crate::{a, b::c}` gives two.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NamedPath {
    pub(crate) line: usize,
    pub(crate) segments: Vec<String>,
    /// Whether it names a crate even when it has a single segment: `use sled;` does, a field `uuid` does not.
    pub(crate) imported: bool,
}

/// The source with comments, strings and characters blanked; lines stay where they are.
pub(crate) fn code_of(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut code = String::with_capacity(source.len());
    let mut at = 0;
    while at < bytes.len() {
        let end = at + literal_length(bytes, at);
        if end == at {
            code.push(if bytes[at].is_ascii() { char::from(bytes[at]) } else { '?' });
            at += 1;
        }
        while at < end {
            code.push(if bytes[at] == b'\n' { '\n' } else { ' ' });
            at += 1;
        }
    }
    code
}

/// Length of the comment, string or character that starts here; 0 if none does.
fn literal_length(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let in_word = at > 0 && is_word(bytes[at - 1]);
    match rest {
        [b'/', b'/', ..] => rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment_length(rest),
        [b'"', ..] => quoted_length(rest, b'"'),
        [b'r', b'"' | b'#', ..] if !in_word => raw_string_length(rest),
        [b'b', b'r', b'"' | b'#', ..] if !in_word => 1 + raw_string_length(&rest[1..]),
        [b'\'', b'\\', ..] => quoted_length(rest, b'\''),
        // A lifetime has no closing quote behind its first character, whatever that character's length.
        [b'\'', _, b'\'', ..] => 3,
        [b'\'', first, ..] if !first.is_ascii() => quoted_length(rest, b'\''),
        _ => 0,
    }
}

fn block_comment_length(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted_length(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// `r"..."`, `r#"..."#` and so on; 0 for a raw identifier.
fn raw_string_length(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|&&byte| byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let closing: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = 2 + hashes;
    let end = rest[body..].windows(closing.len()).position(|window| window == closing);
    end.map_or(rest.len(), |end| body + end + closing.len())
}

/// The code without its `#[cfg(test)]` items, and the names of those that are modules in a file of their own.
pub(crate) fn without_tests(code: &str) -> (String, Vec<String>) {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = code.to_owned();
    let mut modules = Vec::new();
    while let Some(start) = kept.find(MARK) {
        let end = start + MARK.len() + item_length(&kept.as_bytes()[start + MARK.len()..]);
        let item = &kept[start + MARK.len()..end];
        if let Some(name) = item.trim_end().strip_suffix(';').and_then(|item| item.rsplit_once("mod ")) {
            modules.push(name.1.trim().to_owned());
        }
        let blank: String = kept[start..end].chars().map(|char| if char == '\n' { '\n' } else { ' ' }).collect();
        kept.replace_range(start..end, &blank);
    }
    (kept, modules)
}

/// An item ends with its body or its semicolon; a field or the like, where what is around it ends.
fn item_length(code: &[u8]) -> usize {
    let mut depth = 0;
    for (at, byte) in code.iter().enumerate() {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' if depth == 0 => return at,
            b'}' if depth == 1 => return at + 1,
            b'}' | b')' | b']' => depth -= 1,
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// The paths that code (see [`code_of`]) names.
pub(crate) fn paths_of(code: &str) -> Vec<NamedPath> {
    let tokens = tokens_of(code);
    let mut paths = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let before = at.checked_sub(1).map_or("", |before| tokens[before].text);
        if tokens[at].is_word() && before != "." && before != "mod" && before != "fn" {
            let imported = before == "use" || before == "crate";
            at = read_path(&tokens, at, imported, &[], &mut paths);
        } else {
            at += 1;
        }
    }
    paths
}

/// Reads one path, or a tree of imports, from its first word on; says where the next token is.
fn read_path(
    tokens: &[Token<'_>],
    mut at: usize,
    imported: bool,
    prefix: &[String],
    paths: &mut Vec<NamedPath>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let line = tokens[at].line;
    let mut segments = prefix.to_vec();
    loop {
        if text(at) == "{" {
            at += 1;
            while !matches!(text(at), "}" | "") {
                at = if text(at) == "," { at + 1 } else { read_path(tokens, at, imported, &segments, paths) };
            }
            return at + 1;
        }
        if text(at) != "self" || segments.is_empty() {
            segments.push(text(at).to_owned());
        }
        at += 1;
        let next_is_part = text(at + 1) == "{" || text(at + 1) == "*" || tokens.get(at + 1).is_some_and(Token::is_word);
        if text(at) != "::" || !next_is_part {
            break;
        }
        at += 1;
    }
    if imported && text(at) == "as" {
        at += 2;
    }
    paths.push(NamedPath { line, segments, imported });
    at
}

struct Token<'a> {
    line: usize,
    text: &'a str,
}

impl Token<'_> {
    fn is_word(&self) -> bool {
        self.text.bytes().all(is_word)
    }
}

/// Words, `::`, and single signs.
fn tokens_of(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while !rest.is_empty() {
            let word = rest.bytes().take_while(|&byte| is_word(byte)).count();
            let length = if word == 0 && rest.starts_with("::") { 2 } else { word.max(1) };
            tokens.push(Token { line: number + 1, text: &rest[..length] });
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
