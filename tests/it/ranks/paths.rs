//! Every path that a source file names. In: the file's text. Out: [`Mention`]s with their line, resolved as far as the file
//! itself tells: `crate`, `self`, `super`, `watchfire` and names that a `use` brought in. Never: name lookup across files.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use std::collections::BTreeSet;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// A path that a file names.
#[derive(Clone, Debug)]
pub(super) struct Mention {
    /// Counted from 1.
    pub(super) line: usize,
    /// As it reads in the file, a `use` list written out, names that a `use` brought in replaced by where they come from.
    pub(super) written: String,
    pub(super) target: Target,
    /// `use …::*`: it names everything below the target.
    pub(super) glob: bool,
    /// `name!`
    pub(super) is_macro: bool,
    /// It stands under `#[cfg(test)]`.
    pub(super) in_tests: bool,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Into this crate, from its root.
    Inside(Vec<String>),
    /// Into another crate, or a name of the prelude.
    Outside(Vec<String>),
}

/// What one file holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) mentions: Vec<Mention>,
    /// Modules declared here that stand in files of their own, from the crate's root, and whether only tests compile them.
    pub(super) modules: Vec<(Vec<String>, bool)>,
    /// Lines of items at the top that are not `mod` lines.
    pub(super) beyond_mods: Vec<usize>,
}

/// A name that a `use` brought into `scope`.
struct Import {
    scope: Vec<String>,
    name: String,
    path: Vec<String>,
    from: Target,
}

/// A path before the names that imports brought in are known.
struct Sighting {
    scope: Vec<String>,
    path: Vec<String>,
    span: Span,
    glob: bool,
    is_macro: bool,
    /// It stands in a `use`, where imported names do not shadow crates.
    imports: bool,
    in_tests: bool,
}

struct Reader {
    scope: Vec<String>,
    tests: usize,
    sightings: Vec<Sighting>,
    imports: Vec<Import>,
    contents: Contents,
}

/// Reads the file that is module `module` of its crate.
pub(super) fn read(module: &[String], text: &str) -> syn::Result<Contents> {
    let file = syn::parse_file(text)?;
    let mut reader = Reader {
        scope: module.to_vec(),
        tests: 0,
        sightings: Vec::new(),
        imports: Vec::new(),
        contents: Contents::default(),
    };
    for item in &file.items {
        if !matches!(item, syn::Item::Mod(module) if module.content.is_none()) {
            reader.contents.beyond_mods.push(item.span().start().line);
        }
    }
    reader.visit_file(&file);
    Ok(reader.finish())
}

impl Reader {
    fn finish(self) -> Contents {
        let Self { sightings, imports, mut contents, .. } = self;
        let mut told = BTreeSet::new();
        for sighting in sightings {
            let Sighting { glob, is_macro, in_tests, imports: in_use, .. } = sighting;
            // A name alone is a variable, or was a mention where a `use` brought it in.
            if sighting.path.len() == 1 && !in_use && !is_macro {
                continue;
            }
            let import = imported(&imports, &sighting.scope, &sighting.path[0]).filter(|_| !in_use);
            let (path, target) = match import {
                Some(import) => (join(&import.path, &sighting.path[1..]), deeper(&import.from, &sighting.path[1..])),
                None => (sighting.path.clone(), resolve(&sighting.scope, &sighting.path)),
            };
            let line = sighting.span.start().line;
            let mut written = path.join("::");
            written.push_str(if glob { "::*" } else { "" });
            written.push_str(if is_macro { "!" } else { "" });
            if told.insert((line, written.clone())) {
                contents.mentions.push(Mention { line, written, target, glob, is_macro, in_tests });
            }
        }
        contents
    }

    fn see(&mut self, path: Vec<String>, span: Span) -> &mut Sighting {
        let (scope, in_tests) = (self.scope.clone(), self.tests > 0);
        let sighting = Sighting { scope, path, span, glob: false, is_macro: false, imports: false, in_tests };
        self.sightings.push(sighting);
        self.sightings.last_mut().expect("just pushed")
    }

    fn import(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let (mut path, name, span) = match tree {
            syn::UseTree::Path(tree) => return self.import(&join(prefix, &[tree.ident.to_string()]), &tree.tree),
            syn::UseTree::Group(group) => return group.items.iter().for_each(|tree| self.import(prefix, tree)),
            syn::UseTree::Glob(glob) => {
                let sighting = self.see(prefix.to_vec(), glob.span());
                (sighting.glob, sighting.imports) = (true, true);
                return;
            }
            syn::UseTree::Name(name) => (join(prefix, &[name.ident.to_string()]), name.ident.clone(), name.span()),
            syn::UseTree::Rename(tree) => (join(prefix, &[tree.ident.to_string()]), tree.rename.clone(), tree.span()),
        };
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let name = if name == "self" { path.last().cloned().unwrap_or_default() } else { name.to_string() };
        let from = resolve(&self.scope, &path);
        self.imports.push(Import { scope: self.scope.clone(), name, path: path.clone(), from });
        self.see(path, span).imports = true;
    }

    /// Paths among tokens that nobody parsed: the insides of macros and attributes.
    fn scan(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Ident(ident) => at = self.scan_path(vec![ident.to_string()], ident.span(), &tokens, at + 1),
                TokenTree::Group(group) => {
                    self.scan(group.stream());
                    at += 1;
                }
                TokenTree::Literal(literal) => {
                    self.scan_literal(literal);
                    at += 1;
                }
                TokenTree::Punct(_) => at += 1,
            }
        }
    }

    /// `path` and what continues it from `at`; returns where it ends.
    fn scan_path(&mut self, mut path: Vec<String>, mut span: Span, tokens: &[TokenTree], mut at: usize) -> usize {
        let is = |at: usize, c: char| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == c);
        while is(at, ':') && is(at + 1, ':') {
            match tokens.get(at + 2) {
                Some(TokenTree::Ident(ident)) => {
                    path.push(ident.to_string());
                    span = ident.span();
                    at += 3;
                }
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    for part in inner.split(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ','))
                    {
                        if let [TokenTree::Ident(ident), ..] = part {
                            let name = ident.to_string();
                            let start = if name == "self" { path.clone() } else { join(&path, &[name]) };
                            self.scan_path(start, ident.span(), part, 1);
                        }
                    }
                    return at + 3;
                }
                Some(TokenTree::Punct(punct)) if punct.as_char() == '*' => {
                    self.see(path, punct.span()).glob = true;
                    return at + 3;
                }
                _ => break,
            }
        }
        let is_macro = is(at, '!') && matches!(tokens.get(at + 1), Some(TokenTree::Group(_)));
        if path.len() > 1 || is_macro {
            self.see(path, span).is_macro = is_macro;
        }
        at
    }

    /// `#[serde(with = "crate::model::…")]` names a path in quotes.
    fn scan_literal(&mut self, literal: &proc_macro2::Literal) {
        let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) else { return };
        let Ok(path) = syn::parse_str::<syn::Path>(&text.value()) else { return };
        if path.segments.len() > 1 {
            self.see(segments(&path), literal.span());
        }
    }

    fn within(&mut self, tests: bool, visit: impl FnOnce(&mut Self)) {
        self.tests += usize::from(tests);
        visit(self);
        self.tests -= usize::from(tests);
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        self.within(only_for_tests(item_attributes(item)), |reader| visit::visit_item(reader, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.within(only_for_tests(&item.attrs), |reader| visit::visit_impl_item_fn(reader, item));
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.scope.push(item.ident.to_string());
        if item.content.is_none() {
            self.contents.modules.push((self.scope.clone(), self.tests > 0));
        }
        visit::visit_item_mod(self, item);
        self.scope.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        item.attrs.iter().for_each(|attribute| self.visit_attribute(attribute));
        self.import(&[], &item.tree);
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        let name = if item.ident == "self" { "crate".to_owned() } else { item.ident.to_string() };
        self.see(vec![name], item.ident.span()).imports = true;
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.see(segments(path), path.span());
        visit::visit_path(self, path);
    }

    /// `<Timestamp>::now` is `Timestamp::now`.
    fn visit_expr_path(&mut self, expression: &'ast syn::ExprPath) {
        match &expression.qself {
            Some(qself) if qself.position == 0 => {
                if let syn::Type::Path(owner) = &*qself.ty {
                    self.see(join(&segments(&owner.path), &segments(&expression.path)), expression.span());
                }
                self.visit_type(&qself.ty);
            }
            _ => visit::visit_expr_path(self, expression),
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.see(segments(&call.path), call.path.span()).is_macro = true;
        self.scan(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("doc") {
            return;
        }
        self.see(segments(attribute.path()), attribute.path().span());
        match &attribute.meta {
            syn::Meta::Path(_) => {}
            syn::Meta::List(list) => self.scan(list.tokens.clone()),
            syn::Meta::NameValue(pair) => self.visit_expr(&pair.value),
        }
    }

    /// `pub(in crate::decode)` says who may look in, which is the opposite of looking out.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}
}

/// Where a path written in module `scope` leads.
fn resolve(scope: &[String], path: &[String]) -> Target {
    let supers = path.iter().take_while(|segment| *segment == "super").count();
    match path[0].as_str() {
        "crate" | "watchfire" => Target::Inside(path[1..].to_vec()),
        "self" if path.len() > 1 && path[1] == "super" => resolve(scope, &path[1..]),
        "self" => Target::Inside(join(scope, &path[1..])),
        "super" => Target::Inside(join(&scope[..scope.len().saturating_sub(supers)], &path[supers..])),
        _ => Target::Outside(path.to_vec()),
    }
}

/// The import that `name` means in `scope`: its own, or one of a module around it in the same file (`use super::*`).
fn imported<'a>(imports: &'a [Import], scope: &[String], name: &str) -> Option<&'a Import> {
    let named = || imports.iter().filter(|import| import.name == name && scope.starts_with(&import.scope));
    named().max_by_key(|import| import.scope.len())
}

fn deeper(target: &Target, rest: &[String]) -> Target {
    match target {
        Target::Inside(path) => Target::Inside(join(path, rest)),
        Target::Outside(path) => Target::Outside(join(path, rest)),
    }
}

fn join(head: &[String], tail: &[String]) -> Vec<String> {
    [head, tail].concat()
}

fn segments(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// `#[cfg(test)]` or `#[cfg(all(test, …))]`. What `any(test, …)` guards is compiled without tests too.
fn only_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => {
            let tokens = list.tokens.to_string().replace(' ', "");
            tokens == "test" || tokens.starts_with("all(test,")
        }
        _ => false,
    })
}

fn item_attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(item) => &item.attrs,
        syn::Item::Enum(item) => &item.attrs,
        syn::Item::ExternCrate(item) => &item.attrs,
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Macro(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Static(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Trait(item) => &item.attrs,
        syn::Item::Type(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
