//! Expressions with Python's meaning.

use minijinja::Value;
use minijinja::machinery::Span;
use minijinja::machinery::ast::*;

use super::Outcome;
use super::functions::{ATTRIBUTE, COMPARE, CONCATENATE, DICT, ITEM, LIST, METHOD, NEGATIVE, SLICE, TUPLE};
use crate::methods;
use crate::value::error;

pub(super) fn call<'a>(
    name: &'static str,
    values: impl IntoIterator<Item = Expr<'a>>,
    span: Span,
) -> Expr<'a> {
    let args = values.into_iter().map(CallArg::Pos).collect();
    Expr::Call(Spanned::new(Call { expr: variable(name, span), args }, span))
}

pub(super) fn variable<'a>(name: &'a str, span: Span) -> Expr<'a> {
    Expr::Var(Spanned::new(Var { id: name }, span))
}

pub(super) fn constant<'a>(value: impl Into<Value>, span: Span) -> Expr<'a> {
    Expr::Const(Spanned::new(Const { value: value.into() }, span))
}

fn all<'a>(expressions: &[Expr<'a>]) -> Outcome<Vec<Expr<'a>>> {
    expressions.iter().map(expression).collect()
}

pub(super) fn arguments<'a>(arguments: &[CallArg<'a>]) -> Outcome<Vec<CallArg<'a>>> {
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

pub(super) fn expression<'a>(expr: &Expr<'a>) -> Outcome<Expr<'a>> {
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
            let (expr, subscript_expr) = (expression(&e.expr)?, expression(&e.subscript_expr)?);
            match &subscript_expr {
                Expr::Const(key) if !key.value.as_str().is_some_and(methods::is_known) => {
                    Expr::GetItem(Spanned::new(GetItem { expr, subscript_expr }, span))
                }
                _ => call(ITEM, [expr, subscript_expr], span),
            }
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
