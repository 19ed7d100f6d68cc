//! From minijinja's syntax tree to one with Python's meaning: operators, literals, slices and methods become calls of
//! the functions that [`add_to`] adds. Their names are ones that no template can spell.

use minijinja::machinery::Span;
use minijinja::machinery::ast::*;
use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::value::{self, Kind, error, items, sequence};
use super::{comparison, methods, operators, slices};

const LIST: &str = "[]";
const TUPLE: &str = "()";
const DICT: &str = "{}";
const SLICE: &str = "[:]";
const ATTRIBUTE: &str = ".";
const METHOD: &str = ".()";
const NEGATIVE: &str = "-x";
const COMPARE: &str = "<>";
const CONCATENATE: &str = "~";
/// What a loop or an assignment to several names goes through.
const ITEMS: &str = "in";

/// Adds the functions of operators to `environment`.
pub(super) fn add_to(environment: &mut Environment<'_>) {
    type Values = Rest<ValueOrKwargs>;
    type Current<'a, 'b, 'c> = &'a mut State<'b, 'c>;
    for op in ["+", "-", "*", "/", "//", "%", "**"] {
        environment.add_function(op, move |state: Current<'_, '_, '_>, left: Value, right: Value| {
            operators::binary(state, op, &left, &right)
        });
    }
    environment.add_function(NEGATIVE, |value: Value| operators::negate(&value));
    environment.add_function(CONCATENATE, |state: Current<'_, '_, '_>, values: Values| {
        operators::concatenate(state, &values.into_values())
    });
    environment.add_function(COMPARE, |state: Current<'_, '_, '_>, values: Values| {
        let values = values.into_values();
        for link in values.windows(3).step_by(2) {
            let [left, op, right] = link else { continue };
            if !comparison::compare(state, op.as_str().unwrap_or_default(), left, right)? {
                return Ok(false);
            }
        }
        Ok::<bool, Error>(true)
    });
    environment.add_function(LIST, |state: Current<'_, '_, '_>, values: Values| {
        value::list(state, values.into_values())
    });
    environment.add_function(TUPLE, |state: Current<'_, '_, '_>, values: Values| {
        sequence(state, Kind::Tuple, values.into_values())
    });
    environment.add_function(DICT, |state: Current<'_, '_, '_>, values: Values| {
        let values = values.into_values();
        let pair = |pair: &[Value]| Some((pair.first()?.clone(), pair.get(1)?.clone()));
        value::dict(state, values.chunks(2).filter_map(pair))
    });
    environment.add_function(SLICE, |state: Current<'_, '_, '_>, value: Value, bounds: Rest<Value>| {
        slices::slice(state, &value, &bounds)
    });
    environment.add_function(ATTRIBUTE, |value: Value, name: String| methods::attribute(&value, &name));
    environment.add_function(METHOD, |state: Current<'_, '_, '_>, values: Values| {
        let values = values.into_values();
        match values.as_slice() {
            [value, name, rest @ ..] => methods::call(state, value, name.as_str().unwrap_or_default(), rest),
            _ => Err(error("a method needs a value")),
        }
    });
    environment.add_function(ITEMS, |state: Current<'_, '_, '_>, value: Value| {
        let items = items(state, &value)?;
        value::list(state, items)
    });
}

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
            let for_loop = ForLoop {
                target: target(&s.target)?,
                iter: call(ITEMS, [expression(&s.iter)?], s.span()),
                filter_expr: s.filter_expr.as_ref().map(expression).transpose()?,
                recursive: s.recursive,
                body: body(&s.body)?,
                else_body: body(&s.else_body)?,
            };
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
        Stmt::Macro(s) => Stmt::Macro(rebuilt_macro(s)?),
        Stmt::CallBlock(s) => {
            let called = Call { expr: expression(&s.call.expr)?, args: arguments(&s.call.args)? };
            let block = CallBlock {
                call: Spanned::new(called, s.call.span()),
                call_expr_span: s.call_expr_span,
                macro_decl: rebuilt_macro(&s.macro_decl)?,
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

fn unknown_tag(name: &str) -> Error {
    Error::new(ErrorKind::SyntaxError, format!("unknown tag '{name}'"))
}

fn body<'a>(statements: &[Stmt<'a>]) -> Outcome<Vec<Stmt<'a>>> {
    statements.iter().map(rebuild).collect()
}

fn rebuilt_macro<'a>(declared: &Spanned<Macro<'a>>) -> Outcome<Spanned<Macro<'a>>> {
    let rebuilt = Macro {
        name: declared.name,
        args: declared.args.iter().map(target).collect::<Outcome<_>>()?,
        defaults: declared.defaults.iter().map(expression).collect::<Outcome<_>>()?,
        body: body(&declared.body)?,
    };
    Ok(Spanned::new(rebuilt, declared.span()))
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

fn call<'a>(name: &'static str, values: impl IntoIterator<Item = Expr<'a>>, span: Span) -> Expr<'a> {
    let args = values.into_iter().map(CallArg::Pos).collect();
    Expr::Call(Spanned::new(Call { expr: variable(name, span), args }, span))
}

fn variable<'a>(name: &'a str, span: Span) -> Expr<'a> {
    Expr::Var(Spanned::new(Var { id: name }, span))
}

fn constant<'a>(value: impl Into<Value>, span: Span) -> Expr<'a> {
    Expr::Const(Spanned::new(Const { value: value.into() }, span))
}

fn all<'a>(expressions: &[Expr<'a>]) -> Outcome<Vec<Expr<'a>>> {
    expressions.iter().map(expression).collect()
}

fn arguments<'a>(arguments: &[CallArg<'a>]) -> Outcome<Vec<CallArg<'a>>> {
    let argument = |argument: &CallArg<'a>| {
        Ok(match argument {
            CallArg::Pos(e) => CallArg::Pos(expression(e)?),
            CallArg::Kwarg(name, e) => CallArg::Kwarg(name, expression(e)?),
            CallArg::PosSplat(e) => CallArg::PosSplat(expression(e)?),
            CallArg::KwargSplat(e) => CallArg::KwargSplat(expression(e)?),
        })
    };
    arguments.iter().map(argument).collect()
}

fn expression<'a>(expr: &Expr<'a>) -> Outcome<Expr<'a>> {
    let span = expr.span();
    Ok(match expr {
        Expr::Var(e) => variable(e.id, span),
        Expr::Const(e) => constant(e.value.clone(), span),
        Expr::Slice(e) => {
            let bound = |bound: &Option<Expr<'a>>| bound.as_ref().map_or(Ok(constant((), span)), expression);
            let bounds = [expression(&e.expr)?, bound(&e.start)?, bound(&e.stop)?, bound(&e.step)?];
            call(SLICE, bounds, span)
        }
        Expr::UnaryOp(e) => match (&e.op, &e.expr) {
            (UnaryOpKind::Neg, inner) => call(NEGATIVE, [expression(inner)?], span),
            (UnaryOpKind::Not, inner) => {
                Expr::UnaryOp(Spanned::new(UnaryOp { op: UnaryOpKind::Not, expr: expression(inner)? }, span))
            }
        },
        Expr::BinOp(e) => binary(e)?,
        Expr::Compare(e) => {
            let mut chain = vec![expression(&e.expr)?];
            for link in &e.ops {
                chain.push(constant(comparison(link.op), span));
                chain.push(expression(&link.expr)?);
            }
            call(COMPARE, chain, span)
        }
        Expr::IfExpr(e) => {
            let choice = IfExpr {
                test_expr: expression(&e.test_expr)?,
                true_expr: expression(&e.true_expr)?,
                false_expr: e.false_expr.as_ref().map(expression).transpose()?,
            };
            Expr::IfExpr(Spanned::new(choice, span))
        }
        Expr::Filter(e) => {
            let subject = e.expr.as_ref().map(expression).transpose()?;
            Expr::Filter(Spanned::new(
                Filter { name: e.name, expr: subject, args: arguments(&e.args)? },
                span,
            ))
        }
        Expr::Test(e) => {
            let test = Test { name: e.name, expr: expression(&e.expr)?, args: arguments(&e.args)? };
            Expr::Test(Spanned::new(test, span))
        }
        Expr::GetAttr(e) if is_method(e) => {
            call(ATTRIBUTE, [expression(&e.expr)?, constant(e.name, span)], span)
        }
        Expr::GetAttr(e) => {
            Expr::GetAttr(Spanned::new(GetAttr { expr: expression(&e.expr)?, name: e.name }, span))
        }
        Expr::GetItem(e) => {
            let item = GetItem { expr: expression(&e.expr)?, subscript_expr: expression(&e.subscript_expr)? };
            Expr::GetItem(Spanned::new(item, span))
        }
        Expr::Call(e) => called(e)?,
        Expr::List(e) => call(LIST, all(&e.items)?, span),
        Expr::Tuple(e) => call(TUPLE, all(&e.items)?, span),
        Expr::Map(e) => {
            let mut pairs = Vec::with_capacity(2 * e.keys.len());
            for (key, value) in e.keys.iter().zip(&e.values) {
                pairs.extend([expression(key)?, expression(value)?]);
            }
            call(DICT, pairs, span)
        }
    })
}

/// Returns whether `x.name` may be a method of a Python type. Those of Jinja's own objects are minijinja's.
fn is_method(attribute: &GetAttr<'_>) -> bool {
    let of_jinja = matches!(&attribute.expr, Expr::Var(name) if matches!(name.id, "self" | "loop"));
    !of_jinja && methods::is_known(attribute.name)
}

fn called<'a>(e: &Spanned<Call<'a>>) -> Outcome<Expr<'a>> {
    let span = e.span();
    let args = arguments(&e.args)?;
    if let Expr::GetAttr(attribute) = &e.expr {
        let of_loop = matches!(&attribute.expr, Expr::Var(name) if name.id == "loop");
        if of_loop && attribute.name == "cycle" && args.is_empty() {
            return Err(error("no items for cycling given"));
        }
        if is_method(attribute) {
            let receiver = [expression(&attribute.expr)?, constant(attribute.name, span)];
            let args = receiver.into_iter().map(CallArg::Pos).chain(args).collect();
            return Ok(Expr::Call(Spanned::new(Call { expr: variable(METHOD, span), args }, span)));
        }
        let attribute = GetAttr { expr: expression(&attribute.expr)?, name: attribute.name };
        let expr = Expr::GetAttr(Spanned::new(attribute, e.expr.span()));
        return Ok(Expr::Call(Spanned::new(Call { expr, args }, span)));
    }
    Ok(Expr::Call(Spanned::new(Call { expr: expression(&e.expr)?, args }, span)))
}

fn binary<'a>(e: &Spanned<BinOp<'a>>) -> Outcome<Expr<'a>> {
    let (span, left, right) = (e.span(), expression(&e.left)?, expression(&e.right)?);
    let name = match e.op {
        BinOpKind::ScAnd | BinOpKind::ScOr => {
            return Ok(Expr::BinOp(Spanned::new(BinOp { op: e.op, left, right }, span)));
        }
        BinOpKind::Concat => return Ok(call(CONCATENATE, [left, right], span)),
        BinOpKind::Add => "+",
        BinOpKind::Sub => "-",
        BinOpKind::Mul => "*",
        BinOpKind::Div => "/",
        BinOpKind::FloorDiv => "//",
        BinOpKind::Rem => "%",
        BinOpKind::Pow => "**",
        BinOpKind::Eq => return Ok(compared(left, "==", right, span)),
        BinOpKind::Ne => return Ok(compared(left, "!=", right, span)),
        BinOpKind::Lt => return Ok(compared(left, "<", right, span)),
        BinOpKind::Lte => return Ok(compared(left, "<=", right, span)),
        BinOpKind::Gt => return Ok(compared(left, ">", right, span)),
        BinOpKind::Gte => return Ok(compared(left, ">=", right, span)),
        BinOpKind::In => return Ok(compared(left, "in", right, span)),
    };
    Ok(call(name, [left, right], span))
}

fn compared<'a>(left: Expr<'a>, op: &'static str, right: Expr<'a>, span: Span) -> Expr<'a> {
    call(COMPARE, [left, constant(op, span), right], span)
}

fn comparison(op: CompareOpKind) -> &'static str {
    match op {
        CompareOpKind::Eq => "==",
        CompareOpKind::Ne => "!=",
        CompareOpKind::Lt => "<",
        CompareOpKind::Lte => "<=",
        CompareOpKind::Gt => ">",
        CompareOpKind::Gte => ">=",
        CompareOpKind::In => "in",
        CompareOpKind::NotIn => "not in",
    }
}
