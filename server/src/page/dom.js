// Elements, made without HTML text: nothing that a model or a file says is ever parsed as HTML.

const $ = (id) => document.getElementById(id);

// Returns an element with attributes, listeners (`onclick`) and children. Children that are null or false are left out.
function h(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
        else if (value === true) element.setAttribute(key, "");
        else if (value !== false && value != null) element.setAttribute(key, value);
    }
    element.append(...present(children));
    return element;
}

const present = (children) => children.flat(Infinity).filter((child) => child != null && child !== false);

// Replaces the children of an element.
const fill = (element, ...children) => element.replaceChildren(...present(children));

function icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    use.setAttribute("href", `#icon-${name}`);
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    svg.append(use);
    return svg;
}

// Returns a button that shows only an icon.
function iconButton(name, label, onclick, attributes = {}) {
    return h(
        "button",
        { type: "button", class: "round", "aria-label": label, title: label, onclick, ...attributes },
        icon(name),
    );
}

const row = (...children) => h("div", { class: "row" }, ...children);

function textButton(label, onclick, kind = "quiet") {
    return h("button", { type: "button", class: kind, onclick }, label);
}

const submitButton = (label) => h("button", { class: "primary" }, label);

// Returns a button that copies what `text` returns, and says so.
function copyButton(text, label = "Copy") {
    const button = iconButton("copy", label, async () => {
        await copy(text());
        button.replaceChildren(icon("done"));
        setTimeout(() => button.replaceChildren(icon("copy")), 1500);
    });
    return button;
}

// Browsers have a clipboard for pages of this machine and of https only.
async function copy(text) {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const area = h("textarea", { class: "unseen" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
}

// Says something for a few seconds, with an action if there is one.
function toast(text, label, action) {
    const act = () => {
        $("toast").replaceChildren();
        action();
    };
    $("toast").replaceChildren(h("div", {}, text, label && textButton(label, act)));
    clearTimeout(toast.timer);
    toast.timer = setTimeout(() => $("toast").replaceChildren(), action ? 8000 : 4000);
}

function download(name, text) {
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    h("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
}

const grouped = (number) => number.toLocaleString("en");
const percent = (share) => `${share < 0.0995 ? (100 * share).toFixed(1) : Math.round(100 * share)} %`;
