// Forms within messages: edit a question, answer for a tool, go on after a failure.

function edit(view, message, acts) {
    const area = h("textarea", { "aria-label": "Message", rows: "2" });
    area.value = message.text;
    const buttons = row(textButton("Cancel", close), submitButton("Send"));
    const form = h("form", { class: "card edit", onsubmit: finish, onkeydown: keys }, area, buttons);
    function finish(event) {
        event.preventDefault();
        close();
        if (area.value.trim()) acts.edit(message, area.value.trim());
    }
    function keys(event) {
        if (event.key === "Escape") close();
        if (isSend(event)) finish(event);
        event.stopPropagation();
    }
    function close() {
        form.replaceWith(...parts);
        $("prompt").focus();
    }
    const parts = [...view.element.children].slice(1);
    parts.forEach((part) => part.remove());
    view.element.append(form);
    area.focus();
}

// Returns a form for what the called tools return.
function resultsForm({ id, calls }, acts) {
    const field = (label) =>
        h("textarea", { class: "code", rows: "2", "aria-label": label, placeholder: label });
    const fields = calls.map(({ name }) => field(`Result of ${name}`));
    const send = (event) => {
        event.preventDefault();
        const results = calls.map((call, i) => ({ call: call.id, text: fields[i].value }));
        acts.results(id, results);
    };
    return h("form", { class: "card", onsubmit: send }, fields, row(submitButton("Send the results")));
}

// Returns an answer's failure, with the way on: another try, or a key.
function failureForm(message, acts) {
    const { text, status } = message.error;
    const isLocked = status === 401;
    const key = h("input", {
        type: "password",
        autocomplete: "off",
        "aria-label": "API key",
        placeholder: "API key",
    });
    const goOn = (event) => {
        event.preventDefault();
        if (isLocked) acts.useKey(key.value);
        acts.again(message);
    };
    const button = h("button", {}, isLocked ? "Use this key" : "Try again");
    const form = h("form", { class: "error", onsubmit: goOn }, h("p", {}, text), isLocked && key, button);
    return h("div", { role: "alert" }, form);
}

const isSend = (event) => event.key === "Enter" && !event.shiftKey && !event.isComposing;
