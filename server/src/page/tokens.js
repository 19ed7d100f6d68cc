// The tokens of an answer, tinted by doubt, and the chart of a token's alternatives.

// Shows `tokens` in `place`, and keeps those that are there already.
function showTokens(place, tokens) {
    if (place.childElementCount > tokens.length) place.replaceChildren();
    for (const token of tokens.slice(place.childElementCount)) {
        const element = h(
            "span",
            { class: "token", tabindex: place.childElementCount ? "-1" : "0", "aria-describedby": "chart" },
            token.text,
        );
        element.style.setProperty("--doubt", 1 - Math.exp(token.logprob));
        element.token = token;
        place.append(element);
    }
}

function tokensPlace() {
    const show = ({ target }) => target.token && showChart(target);
    const move = (event) => {
        const next = { ArrowRight: "nextElementSibling", ArrowLeft: "previousElementSibling" }[event.key];
        if (!next || !event.target[next]) return;
        event.preventDefault();
        event.target.tabIndex = -1;
        event.target[next].tabIndex = 0;
        event.target[next].focus();
    };
    return h("div", {
        class: "tokens",
        role: "group",
        "aria-label": "Tokens; the arrow keys move between them",
        onpointerover: show,
        onfocusin: show,
        onpointerleave: hideChart,
        onfocusout: hideChart,
        onkeydown: move,
    });
}

function showChart(element) {
    const { text, logprob, top } = element.token;
    const rows = top.some(([other]) => other === text) ? top : [[text, logprob], ...top];
    const chart = $("chart");
    fill(
        chart,
        rows.map(([other, value]) => alternative(other, Math.exp(value), other === text)),
    );
    chart.hidden = false;
    const at = element.getClientRects()[0];
    const box = chart.getBoundingClientRect();
    const above = at.top - box.height - 8;
    chart.style.left = `${Math.max(8, Math.min(at.left - 12, innerWidth - box.width - 8))}px`;
    chart.style.top = `${above < 8 ? at.bottom + 8 : above}px`;
}

function alternative(text, share, isChosen) {
    const bar = h("i");
    bar.style.width = `${100 * share}%`;
    const space = h("span", { class: "bar-space" }, bar);
    const kind = isChosen ? "row chosen" : "row";
    return h("div", { class: kind }, h("code", {}, visible(text)), space, h("span", {}, percent(share)));
}

function hideChart() {
    $("chart").hidden = true;
}

const visible = (text) => text.replaceAll(" ", "␣").replaceAll("\n", "↵").replaceAll("\t", "⇥");
