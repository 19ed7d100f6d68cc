// The list of conversations: open, rename, export, delete, import.

const FORMAT = "tercet-conversations";

function showConversations() {
    const newest = [...conversations.values()].sort((a, b) => b.updated - a.updated);
    const days = Map.groupBy(newest, ({ updated }) => dayOf(updated));
    const groups = [...days].map(([day, list]) => [h("h2", {}, day), h("ul", {}, list.map(item))]);
    $("conversations").replaceChildren(...groups.flat());
}

function dayOf(time) {
    const midnight = new Date().setHours(0, 0, 0, 0);
    if (time >= midnight) return "Today";
    return time >= midnight - 6 * 86_400_000 ? "This week" : "Earlier";
}

function item(conversation) {
    const isShown = conversation.id === shown.id;
    const open = h(
        "button",
        {
            type: "button",
            class: "open",
            "aria-current": isShown && "true",
            onclick: () => openConversation(conversation),
        },
        titleOf(conversation),
    );
    const more = iconButton("more", `More about ${titleOf(conversation)}`, () =>
        openMenu(conversation, more),
    );
    return h("li", { class: isShown && "shown", "data-id": conversation.id }, open, more);
}

function openMenu(conversation, anchor) {
    const entry = (label, action) =>
        textButton(label, () => {
            $("menu").hidePopover();
            action(conversation);
        });
    const one = () => exportAll([conversation], titleOf(conversation));
    $("menu").replaceChildren(entry("Rename", rename), entry("Export", one), entry("Delete", remove));
    const at = anchor.getBoundingClientRect();
    $("menu").style.left = `${Math.min(at.left, innerWidth - 170)}px`;
    $("menu").style.top = `${Math.min(at.bottom + 4, innerHeight - 140)}px`;
    $("menu").showPopover();
}

function rename(conversation) {
    const input = h("input", {
        "aria-label": "Title",
        value: titleOf(conversation),
        onblur: done,
        onkeydown: keys,
    });
    function keys(event) {
        if (event.key === "Escape") input.value = conversation.title;
        if (["Enter", "Escape"].includes(event.key)) input.blur();
        event.stopPropagation();
    }
    function done() {
        conversation.title = input.value.trim();
        save(conversation);
        showConversations();
    }
    $("conversations")
        .querySelector(`[data-id="${CSS.escape(conversation.id)}"]`)
        .replaceChildren(input);
    input.select();
}

function remove(conversation) {
    stop(conversation);
    forget(conversation);
    if (conversation === shown) openConversation();
    else showConversations();
    toast(`“${titleOf(conversation)}” is deleted.`, "Undo", () => {
        save(conversation);
        openConversation(conversation);
    });
}

function exportAll(list, name) {
    const file = name.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 40);
    download(`${file}.json`, JSON.stringify({ format: FORMAT, version: 1, conversations: list }, null, 1));
}

async function importFile(file) {
    try {
        const { format, conversations: list } = JSON.parse(await file.text());
        if (format !== FORMAT || !Array.isArray(list)) throw new Error(`its \`format\` is not “${FORMAT}”`);
        const read = list.map(readConversation);
        for (const conversation of read) {
            if (conversations.has(conversation.id)) conversation.id = newId();
            await save(conversation);
        }
        if (read.length) openConversation(read[0]);
        toast(`${read.length} ${read.length === 1 ? "conversation is" : "conversations are"} imported.`);
    } catch (error) {
        toast(`${file.name} cannot be imported: ${error.message}`);
    }
}

$("new").onclick = () => openConversation();
$("export").onclick = () => exportAll([...conversations.values()], "tercet conversations");
$("import").onclick = () => $("file").click();
$("file").onchange = () => {
    const [file] = $("file").files;
    if (file) importFile(file);
    $("file").value = "";
};
