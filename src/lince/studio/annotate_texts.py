"""The words of the annotator and of the table of keys, by key."""

from __future__ import annotations

from lince.i18n import _


def translate() -> dict[str, str]:
    """Return the words in the current language."""
    page = {**_translate_page(), **_translate_panel(), **_translate_notices(), **_translate_history()}
    return {**page, **_translate_key_table(), **_translate_actions()}


def _translate_page() -> dict[str, str]:
    return {
        "annotate.photo": _("Photo {name}"),
        "annotate.how": _(
            "B draws a box: the arrow keys move a crosshair, Enter sets a corner. Tab goes to the next shape, Escape "
            "and then Tab leave the photo. The question mark shows all keys."
        ),
        "annotate.again": _("Try again"),
        "annotate.bar": _("Tools and view"),
        "annotate.tools": _("Tools"),
        "annotate.place": _("{place} / {count}"),
        "annotate.percent": _("{percent}%"),
        "annotate.with-key": _("{name} ({key})"),
        "annotate.brightness": _("Brightness"),
        "annotate.state.new": _("not labelled"),
        "annotate.state.draft": _("begun"),
        "annotate.state.done": _("done"),
        "annotate.state.skipped": _("skipped"),
        "annotate.others": _("Also here: {names}"),
        "annotate.taken": _("Somebody else is labelling this photo. What you both change is merged."),
        "annotate.next-free": _("Next free photo"),
        "annotate.strip": _("Photos before and after"),
        "annotate.near": _("{name}, {state}"),
        "annotate.problem.unreachable": _("The studio does not answer. Is it still running?"),
        "annotate.problem.picture": _("This photo cannot be shown."),
        "annotate.problem.class-waits": _(
            "The studio does not answer. The class “{name}” is kept in this browser, and added once it is back."
        ),
        "annotate.problem.class": _("The class was not added."),
    }


def _translate_panel() -> dict[str, str]:
    return {
        "annotate.panel": _("Labels of this photo"),
        "annotate.classes": _("Classes"),
        "annotate.add-class": _("Find or add a class"),
        "annotate.add-named": _("Add the class “{name}”"),
        "annotate.choose-class": _("Class"),
        "annotate.class-name": _("Name of the class"),
        "annotate.goes-on": _("Go on once a class is chosen"),
        "annotate.no-class": _("no class"),
        "annotate.shape": _("{name}, {kind}, {width} × {height} at {left}, {top}"),
        "annotate.kind.box": _("box"),
        "annotate.kind.polygon": _("polygon"),
        "annotate.kind.mask": _("mask"),
        "annotate.shapes.one": _("1 shape"),
        "annotate.shapes.many": _("{count} shapes"),
        "annotate.shapes.other": _("{count} shapes"),
        "annotate.selected": _("Selected shape"),
        "annotate.from-model": _("from the model"),
        "annotate.locked": _("locked"),
        "annotate.copy-previous": _("Copy all from the previous photo"),
        "annotate.comments": _("Comments"),
        "annotate.add-comment": _("Add a comment"),
        "annotate.comment-on": _("Comment: {what}"),
        "annotate.comment-text": _("Comment"),
        "annotate.whole-photo": _("the whole photo"),
        "annotate.show-shape": _("Show the shape"),
        "annotate.settled": _("Settled"),
        "annotate.save": _("Save"),
        "annotate.cancel": _("Cancel"),
        "annotate.skip": _("Skip"),
        "annotate.done": _("Done, next photo"),
        "annotate.conflict": _("{who} changed this too"),
        "annotate.refused": _("A change could not be saved"),
        "annotate.somebody": _("Somebody"),
        "annotate.yours": _("Yours"),
        "annotate.theirs": _("Saved"),
        "annotate.keep-yours": _("Keep mine"),
        "annotate.keep-theirs": _("Keep what is saved"),
        "annotate.keep-both": _("Keep both"),
        "annotate.try-again": _("Try again"),
        "annotate.discard": _("Drop my change"),
        "annotate.removed": _("removed"),
        "annotate.flagged": _("flagged"),
    }


def _translate_notices() -> dict[str, str]:
    return {
        "annotate.notice.class-set": _("The shape is now {name}."),
        "annotate.notice.class-next": _("Next shapes: {name}."),
        "annotate.notice.photo-class": _("The photo is {name}."),
        "annotate.notice.locked": _("The shape is locked."),
        "annotate.notice.no-class": _("Choose a class first, or skip the photo."),
        "annotate.notice.last": _("This is the last photo."),
        "annotate.notice.first": _("This is the first photo."),
        "annotate.notice.last-done": _("Done. This is the last photo."),
        "annotate.notice.last-skipped": _("Skipped. This is the last photo."),
        "annotate.notice.none-free": _("No photo is left that is not done and that nobody else has."),
        "annotate.notice.undo": _("Undone."),
        "annotate.notice.redo": _("Done again."),
        "annotate.notice.restore": _("The photo is as it was then."),
        "annotate.notice.no-undo": _("There is nothing to undo on this photo."),
        "annotate.notice.no-redo": _("There is nothing to redo on this photo."),
        "annotate.notice.no-restore": _("The photo is like that already."),
        "annotate.notice.undo-waits": _(
            "The studio does not answer, so nothing was done. Your changes are kept in this browser; try again once "
            "they are saved."
        ),
        "annotate.notice.failed": "{message}",
        "annotate.notice.other": _("{who} has changed this photo."),
        "annotate.notice.nothing-to-paste": _("There is no shape to copy."),
        "annotate.notice.copied.one": _("1 shape copied."),
        "annotate.notice.copied.many": _("{count} shapes copied."),
        "annotate.notice.copied.other": _("{count} shapes copied."),
        "annotate.notice.pasted.one": _("1 shape pasted."),
        "annotate.notice.pasted.many": _("{count} shapes pasted."),
        "annotate.notice.pasted.other": _("{count} shapes pasted."),
        "annotate.notice.copied-previous.one": _("1 shape copied from the previous photo."),
        "annotate.notice.copied-previous.many": _("{count} shapes copied from the previous photo."),
        "annotate.notice.copied-previous.other": _("{count} shapes copied from the previous photo."),
        "annotate.notice.not-pasted.one": _("1 shape does not fit this photo, and was not copied."),
        "annotate.notice.not-pasted.many": _("{count} shapes do not fit this photo, and were not copied."),
        "annotate.notice.not-pasted.other": _("{count} shapes do not fit this photo, and were not copied."),
    }


def _translate_history() -> dict[str, str]:
    return {
        "annotate.history": _("History"),
        "annotate.no-history": _("Nothing was changed yet."),
        "annotate.history-unsaved.one": _("{count} change is not saved yet, and not in this list."),
        "annotate.history-unsaved.other": _("{count} changes are not saved yet, and not in this list."),
        "annotate.restore": _("Restore to here"),
        "annotate.did.undo": _("undid: {what}"),
        "annotate.did.redo": _("redid: {what}"),
        "annotate.did.restore": _("restored: {what}"),
        "annotate.did.shape.add": _("{name} drawn"),
        "annotate.did.shape.remove": _("{name} removed"),
        "annotate.did.shape.class": _("class changed to {name}"),
        "annotate.did.shape.change": _("{name} changed"),
        "annotate.did.comment.add": _("comment: {name}"),
        "annotate.did.comment.remove": _("comment removed: {name}"),
        "annotate.did.comment.change": _("comment changed: {name}"),
        "annotate.did.photo.class": _("photo is: {name}"),
        "annotate.did.photo.new": _("photo not labelled"),
        "annotate.did.photo.draft": _("photo begun"),
        "annotate.did.photo.done": _("photo done"),
        "annotate.did.photo.skipped": _("photo skipped"),
        "annotate.did.photo.flag": _("photo flagged"),
        "annotate.did.photo.unflag": _("flag removed"),
        "annotate.did.photo.change": _("photo changed"),
    }


def _translate_key_table() -> dict[str, str]:
    return {
        "keys.title": _("Keys"),
        "keys.preset": _("Keys as in"),
        "keys.preset.lince": "lince",
        "keys.preset.cvat": "CVAT",
        "keys.preset.labelstudio": "Label Studio",
        "keys.close": _("Close"),
        "keys.how": _(
            "Choose a key to change it. Arrows move the selected shape by 1 pixel, with Shift by 10; with Ctrl a side "
            "of a box grows, with Alt it shrinks. The mouse wheel zooms where the pointer is; Space or the middle "
            "button moves the photo. A click on the outline of a polygon adds a point; a click on a point with Alt "
            "removes it."
        ),
        "keys.press": _("Press the new key for “{action}”, or Escape."),
        "keys.lost": _("“{action}” no longer has {key}."),
        "keys.none": _("no key"),
        "keys.change": _("Change the key of “{action}”"),
        "keys.group.photos": _("Photos"),
        "keys.group.classes": _("Classes"),
        "keys.group.tools": _("Tools"),
        "keys.group.shapes": _("Shapes"),
        "keys.group.edits": _("Undo"),
        "keys.group.view": _("View"),
        "keys.name.Space": _("Space"),
        "keys.name.Enter": _("Enter"),
        "keys.name.Tab": _("Tab"),
        "keys.name.Escape": _("Esc"),
        "keys.name.Delete": _("Del"),
        "keys.name.Backspace": _("Backspace"),
        "keys.name.PageUp": _("Page up"),
        "keys.name.PageDown": _("Page down"),
        "keys.name.Shift": _("Shift"),
        "keys.name.Ctrl": _("Ctrl"),
        "keys.name.Alt": _("Alt"),
    }


def _translate_actions() -> dict[str, str]:
    return {
        "keys.action.photo.next": _("Next photo"),
        "keys.action.photo.previous": _("Previous photo"),
        "keys.action.photo.done": _("Done, next photo"),
        "keys.action.photo.skip": _("Skip the photo"),
        "keys.action.photo.flag": _("Flag the photo"),
        "keys.action.photo.comment": _("Comment"),
        "keys.action.class.choose": _("Choose a class"),
        "keys.action.class.toggle": _("One more class of the photo"),
        "keys.action.class.search": _("Find or add a class"),
        "keys.action.tool.box": _("Box"),
        "keys.action.tool.points": _("Box by its four outermost points"),
        "keys.action.tool.polygon": _("Polygon"),
        "keys.action.tool.scissors": _("Scissors: an outline along edges"),
        "keys.action.tool.brush": _("Mask brush"),
        "keys.action.tool.eraser": _("Eraser"),
        "keys.action.tool.select": _("Select and move"),
        "keys.action.tool.again": _("Draw another one"),
        "keys.action.brush.smaller": _("Smaller brush"),
        "keys.action.brush.larger": _("Larger brush"),
        "keys.action.shape.next": _("Next shape"),
        "keys.action.shape.previous": _("Previous shape"),
        "keys.action.shape.delete": _("Delete the shape"),
        "keys.action.shape.duplicate": _("Duplicate"),
        "keys.action.shape.copy": _("Copy the shape, or all"),
        "keys.action.shape.paste": _("Paste"),
        "keys.action.shape.copy-previous": _("Copy all from the previous photo"),
        "keys.action.shape.lock": _("Lock the shape"),
        "keys.action.shapes.hide": _("Hide all shapes"),
        "keys.action.move.left": _("Left"),
        "keys.action.move.right": _("Right"),
        "keys.action.move.up": _("Up"),
        "keys.action.move.down": _("Down"),
        "keys.action.cancel": _("Give up, unselect"),
        "keys.action.edit.undo": _("Undo"),
        "keys.action.edit.redo": _("Redo"),
        "keys.action.view.pan": _("Move the photo (held)"),
        "keys.action.view.fit": _("Fit the photo"),
        "keys.action.view.actual": _("Size of the pixels, 100%"),
        "keys.action.view.shape": _("Zoom to the shape"),
        "keys.action.view.larger": _("Zoom in"),
        "keys.action.view.smaller": _("Zoom out"),
        "keys.action.view.brighter": _("Brighter"),
        "keys.action.view.darker": _("Darker"),
        "keys.action.view.invert": _("Invert the colours"),
        "keys.action.view.cross": _("Crosshair"),
        "keys.action.help": _("All keys"),
    }
