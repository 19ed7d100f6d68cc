//! From minijinja's syntax tree to one with Python's meaning: operators, literals, slices and methods become calls of
//! our functions.

mod expressions;
mod functions;
mod macros;

use minijinja::machinery::ast::*;
use minijinja::machinery::{CodeGenerator, Instruction};
use minijinja::{Error, ErrorKind};

use super::value::error;
use expressions::{arguments, call, expression};
pub(super) use functions::add_to;
use functions::{ITEMS, TUPLE};

type Outcome<T> = Result<T, Error>;

/// Rebuilds a template with Python's meaning.
///
/// # Errors
/// Fails at a tag that transformers does not know.
pub(super) fn rebuild<'a>(statement: &Stmt<'a>) -> Outcome<Stmt<'a>> {
    Ok(match statement {
        Stmt::Template(s) => {
            Stmt::Template(Spanned::new(Template { children: body(&s.children)? }, s.span()))
        }
        Stmt::EmitExpr(s) => Stmt::EmitExpr(Spanned::new(EmitExpr { expr: expression(&s.expr)? }, s.span())),
        Stmt::EmitRaw(s) => Stmt::EmitRaw(Spanned::new(EmitRaw { raw: s.raw }, s.span())),
        Stmt::ForLoop(s) => {
            let mut for_loop = ForLoop {
                target: target(&s.target)?,
                iter: call(ITEMS, [expression(&s.iter)?], s.span()),
                filter_expr: s.filter_expr.as_ref().map(expression).transpose()?,
                recursive: s.recursive,
                body: body(&s.body)?,
                else_body: body(&s.else_body)?,
            };
            if !counts(statement, s)
                && let Some(expr) = for_loop.filter_expr.take()
            {
                // minijinja tests all items before the first turn, but the body may change what the next test sees.
                let condition = IfCond { expr, true_body: for_loop.body, false_body: Vec::new() };
                for_loop.body = vec![Stmt::IfCond(Spanned::new(condition, s.span()))];
            }
            Stmt::ForLoop(Spanned::new(for_loop, s.span()))
        }
        Stmt::IfCond(s) => {
            let (true_body, false_body) = (body(&s.true_body)?, body(&s.false_body)?);
            let condition = IfCond { expr: expression(&s.expr)?, true_body, false_body };
            Stmt::IfCond(Spanned::new(condition, s.span()))
        }
        Stmt::WithBlock(s) => {
            // Python computes all values before it assigns the first.
            let targets = s.assignments.iter().map(|(name, _)| target(name)).collect::<Outcome<Vec<_>>>()?;
            let values =
                s.assignments.iter().map(|(_, value)| expression(value)).collect::<Outcome<Vec<_>>>()?;
            let targets = Expr::List(Spanned::new(List { items: targets }, s.span()));
            let assignments =
                if values.is_empty() { vec![] } else { vec![(targets, call(TUPLE, values, s.span()))] };
            Stmt::WithBlock(Spanned::new(WithBlock { assignments, body: body(&s.body)? }, s.span()))
        }
        Stmt::Set(s) => {
            let value = expression(&s.expr)?;
            let value =
                if matches!(s.target, Expr::List(_)) { call(ITEMS, [value], s.span()) } else { value };
            Stmt::Set(Spanned::new(Set { target: target(&s.target)?, expr: value }, s.span()))
        }
        Stmt::SetBlock(s) => {
            let filter = s.filter.as_ref().map(expression).transpose()?;
            let block = SetBlock { target: target(&s.target)?, filter, body: body(&s.body)? };
            Stmt::SetBlock(Spanned::new(block, s.span()))
        }
        Stmt::AutoEscape(s) => {
            let escape = AutoEscape { enabled: expression(&s.enabled)?, body: body(&s.body)? };
            Stmt::AutoEscape(Spanned::new(escape, s.span()))
        }
        Stmt::FilterBlock(s) => {
            let filter = expression(&s.filter)?;
            let block = FilterBlock { filter, filter_span: s.filter_span, body: body(&s.body)? };
            Stmt::FilterBlock(Spanned::new(block, s.span()))
        }
        Stmt::Block(s) => {
            let block = Block { name: s.name, required: s.required, body: body(&s.body)? };
            Stmt::Block(Spanned::new(block, s.span()))
        }
        Stmt::Macro(s) => macros::declared(statement, s)?,
        Stmt::CallBlock(s) => {
            let called = Call { expr: expression(&s.call.expr)?, args: arguments(&s.call.args)? };
            let block = CallBlock {
                call: Spanned::new(called, s.call.span()),
                call_expr_span: s.call_expr_span,
                macro_decl: Spanned::new(macros::rebuilt(&s.macro_decl)?, s.macro_decl.span()),
            };
            Stmt::CallBlock(Spanned::new(block, s.span()))
        }
        Stmt::Continue(s) => Stmt::Continue(Spanned::new(Continue, s.span())),
        Stmt::Break(s) => Stmt::Break(Spanned::new(Break, s.span())),
        Stmt::Do(_) => return Err(unknown_tag("do")),
        Stmt::Import(_) | Stmt::FromImport(_) | Stmt::Extends(_) | Stmt::Include(_) => {
            return Err(Error::new(ErrorKind::TemplateNotFound, "a chat template has no other templates"));
        }
    })
}

/// Returns whether a loop needs to know which items pass its test, beyond the one at hand.
fn counts(statement: &Stmt<'_>, for_loop: &ForLoop<'_>) -> bool {
    let reads_loop =
        || compiles_to(statement, |instruction| matches!(instruction, Instruction::Lookup("loop")));
    for_loop.recursive || !for_loop.else_body.is_empty() || reads_loop()
}

/// Returns whether the compiled form of a statement has an instruction of a kind.
fn compiles_to(statement: &Stmt<'_>, is_of_kind: impl Fn(&Instruction<'_>) -> bool) -> bool {
    let mut generator = CodeGenerator::new("", "");
    generator.compile_stmt(statement);
    let (instructions, _) = generator.finish();
    (0..).map_while(|at| instructions.get(at)).any(is_of_kind)
}

fn unknown_tag(name: &str) -> Error {
    Error::new(ErrorKind::SyntaxError, format!("unknown tag '{name}'"))
}

fn body<'a>(statements: &[Stmt<'a>]) -> Outcome<Vec<Stmt<'a>>> {
    statements.iter().map(rebuild).collect()
}

/// Rebuilds what is assigned to: names, attributes of namespaces, or several of them.
fn target<'a>(expr: &Expr<'a>) -> Outcome<Expr<'a>> {
    match expr {
        Expr::List(e) => {
            let items = e.items.iter().map(target).collect::<Outcome<_>>()?;
            Ok(Expr::List(Spanned::new(List { items }, e.span())))
        }
        Expr::GetAttr(e) => {
            if e.name.starts_with('_') {
                return Err(error(format!("a namespace cannot store the attribute '{}'", e.name)));
            }
            Ok(Expr::GetAttr(Spanned::new(GetAttr { expr: target(&e.expr)?, name: e.name }, e.span())))
        }
        other => expression(other),
    }
}
