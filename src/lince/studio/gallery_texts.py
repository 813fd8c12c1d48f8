"""The words of the gallery, the table of classes, the export and the journal."""

from __future__ import annotations

from lince.i18n import _


def translate() -> dict[str, str]:
    """Return the words in the current language, by key."""
    return {
        **_name_filters(),
        **_name_gallery(),
        **_name_acts(),
        **_name_keys(),
        **_name_classes(),
        **_name_export(),
        **_name_history(),
    }


def _name_filters() -> dict[str, str]:
    return {
        "filters": _("Filters"),
        "filters.show": _("Filters: {name}"),
        "filters.state": _("State of the photos"),
        "filters.class": _("Class"),
        "filters.split": _("Split"),
        "filters.person": _("Assigned to"),
        "filters.any": _("any"),
        "filters.search": _("Search by name"),
        "filter.all": _("All"),
        "filter.unlabelled": _("Without labels"),
        "filter.draft": _("Begun"),
        "filter.done": _("Done"),
        "filter.skipped": _("Skipped"),
        "filter.flagged": _("Flagged"),
        "filter.commented": _("With comments"),
        "filter.removed": _("Removed"),
        "split.train": _("training"),
        "split.val": _("validation"),
        "split.test": _("test"),
        "split.none": _("no split yet"),
        "state.draft": _("begun"),
        "state.done": _("done"),
        "state.skipped": _("skipped"),
    }


def _name_gallery() -> dict[str, str]:
    return {
        "gallery.photos": _("Photos"),
        "gallery.count.one": _("{count} photo"),
        "gallery.count.other": _("{count} photos"),
        "gallery.found.one": _("{count} photo found"),
        "gallery.found.other": _("{count} photos found"),
        "gallery.size": _("Size of the photos"),
        "gallery.size.small": _("small"),
        "gallery.size.medium": _("medium"),
        "gallery.size.large": _("large"),
        "gallery.refresh": _("Filter again"),
        "gallery.empty": _("There are no photos in this project yet."),
        "gallery.nothing": _("No photo fits these filters."),
        "gallery.show_all": _("Show all photos"),
        "gallery.shapes.one": _("{count} shape"),
        "gallery.shapes.other": _("{count} shapes"),
        "gallery.flagged": _("flagged: {flag}"),
        "gallery.acts": _("What to do with the selected photos"),
        "gallery.selected.one": _("{count} photo selected"),
        "gallery.selected.other": _("{count} photos selected"),
        "gallery.select_hint": _("Click photos to select them, double-click to open one."),
        "gallery.tap_hint": _("Tap the circle of a photo to select it, or the photo to open it."),
        "gallery.class_of_boxes": _("In this project the classes belong to shapes: open a photo to draw them."),
        "gallery.no_class_key": _("No class has the key {key}. Keys are given on the page of the classes."),
        "gallery.no_classes": _("There are no classes yet."),
    }


def _name_acts() -> dict[str, str]:
    return {
        "act.open": _("Open"),
        "act.class": _("Class…"),
        "act.class_title.one": _("Class for {count} photo"),
        "act.class_title.other": _("Class for {count} photos"),
        "act.class_search": _("Find a class"),
        "act.no_class": _("no class"),
        "act.skip": _("Skip"),
        "act.done": _("Mark as done"),
        "act.flag": _("Flag…"),
        "act.flag_title.one": _("Flag {count} photo"),
        "act.flag_title.other": _("Flag {count} photos"),
        "act.flag_label": _("Why somebody should look at it; empty to take the flag away"),
        "act.flag_save": _("Save"),
        "act.split": _("Split…"),
        "act.split_title.one": _("Split for {count} photo"),
        "act.split_title.other": _("Split for {count} photos"),
        "act.split_help": _(
            "A model learns from training photos; test photos show how good it is on photos it has never seen."
        ),
        "act.remove": _("Remove from the project"),
        "act.restore": _("Bring back"),
        "act.all": _("Select all"),
        "act.none": _("Select none"),
        "act.changed.one": _("{count} photo changed"),
        "act.changed.other": _("{count} photos changed"),
        "undo": _("Undo"),
        "undo.none": _("There is nothing of yours to undo."),
        "undo.done": _("Undone."),
        "undo.photos.one": _("Undone on {count} photo."),
        "undo.photos.other": _("Undone on {count} photos."),
        "redo": _("Redo"),
        "redo.none": _("There is nothing to redo."),
        "redo.done": _("Done again."),
        "redo.photos.one": _("Done again on {count} photo."),
        "redo.photos.other": _("Done again on {count} photos."),
    }


def _name_keys() -> dict[str, str]:
    return {
        "gallery.keys.move": _("go to another photo"),
        "gallery.keys.range": _("select a row of photos"),
        "gallery.keys.toggle": _("select this photo, or no longer"),
        "gallery.keys.all": _("select all photos"),
        "gallery.keys.none": _("select none"),
        "gallery.keys.class": _("class of the selected photos, else of this one"),
        "gallery.keys.no_class": _("no class"),
        "gallery.keys.skip": _("skip"),
        "gallery.keys.flag": _("flag"),
        "gallery.keys.remove": _("remove from the project; the file stays"),
        "gallery.keys.open": _("open the photo"),
        "gallery.keys.undo": _("undo"),
        "gallery.keys.redo": _("redo"),
        "gallery.keys.help": _("this help"),
    }


def _name_classes() -> dict[str, str]:
    return {
        "classes.new": _("New class"),
        "classes.new_example": _("for example: cat"),
        "classes.add": _("Add class"),
        "classes.empty": _("There are no classes yet. Add the names of what you want to recognise."),
        "classes.ids": _(
            "The order is that of exports. A class keeps its place in the project for ever, so that a merged or "
            "deleted one can come back."
        ),
        "classes.order": _("Order"),
        "classes.colour": _("Colour"),
        "classes.name": _("Name"),
        "classes.key": _("Key"),
        "classes.shape_count": _("Shapes"),
        "classes.photo_count": _("Photos"),
        "classes.acts": _("Merge or delete"),
        "classes.up": _("Move {name} up"),
        "classes.down": _("Move {name} down"),
        "classes.colour_of": _("Colour of {name}"),
        "classes.name_of": _("Name of {name}"),
        "classes.key_of": _("Key of {name}"),
        "classes.merge": _("Merge…"),
        "classes.delete": _("Delete…"),
        "classes.shapes.one": _("{count} shape"),
        "classes.shapes.other": _("{count} shapes"),
        "classes.photos.one": _("{count} photo"),
        "classes.photos.other": _("{count} photos"),
        "classes.merge_title": _("Merge {name} into another class"),
        "classes.merge_help": _(
            "{name} has {shapes} and is on {photos}. All of them get the class that you choose; {name} is no longer "
            "used."
        ),
        "classes.into": _("Class that they get"),
        "classes.merge_do": _("Merge"),
        "classes.delete_title": _("Delete {name}"),
        "classes.delete_used": _("{name} has {shapes} and is on {photos}. What should become of them?"),
        "classes.delete_unused": _("Nothing has the class {name}."),
        "classes.delete_move": _("Give them another class"),
        "classes.delete_remove": _("Remove these labels; the photos stay"),
        "classes.delete_do": _("Delete"),
        "classes.undoable": _("You can undo this."),
        "classes.deleted": _("{name} was deleted, with its labels: {labels}."),
        "classes.deleted_unused": _("{name} was deleted."),
        "classes.moved": _("{name} is now {into}: {labels}."),
        "classes.moved_unused": _("{name} is now {into}."),
    }


def _name_export() -> dict[str, str]:
    return {
        "export.format": _("Format"),
        "export.with_photos": _("with the photos"),
        "export.needs_photos": _("This format needs the photos beside the labels."),
        "export.lost": _("What will be left out or lost"),
        "export.nothing_yet": _("No photo has a label yet, so there is nothing to export."),
        "export.unsaved.one": _(
            "{count} change is not saved yet, and would be missing. Nothing is exported before it is saved; this page "
            "goes on by itself then."
        ),
        "export.unsaved.other": _(
            "{count} changes are not saved yet, and would be missing. Nothing is exported before they are saved; this "
            "page goes on by itself then."
        ),
        "export.refused.one": _("{count} change that could not be saved is not in it; see the top of the page."),
        "export.refused.other": _("{count} changes that could not be saved are not in it; see the top of the page."),
        "export.nothing_lost": _("Nothing will be left out or lost"),
        "export.left_out.one": _("{count} photo is left out"),
        "export.left_out.other": _("{count} photos are left out"),
        "export.holds.one": _("{count} photo is exported"),
        "export.holds.other": _("{count} photos are exported"),
        "export.folder": _("New folder on this machine"),
        "export.to_folder": _("Export to the folder"),
        "export.to_zip": _("Download as a zip archive"),
        "export.zip_ready": _("The archive is being downloaded."),
        "export.working": _("Exporting…"),
        "export.done.one": _("{count} photo is now in {folder}."),
        "export.done.other": _("{count} photos are now in {folder}."),
        "export.command": _("The same in a terminal"),
        "export.copy": _("Copy"),
        "export.copied": _("Copied."),
        "export.not_copied": _("The browser does not allow it. Select the text and copy it yourself."),
        "export.classes": _("Classes in the export"),
        "export.ids_help": _("The numbers are those in the exported files, in the order of the page of the classes."),
        "export.names_help": _("This format names the classes; it has no numbers for them."),
        "export.id": _("Number"),
        "export.count": _("Labels"),
        "export.project": _("All commands of lince also read the project itself: {folder}"),
        "format.folders": _("Folders, one for each class"),
        "format.csv": _("CSV, a class for each photo"),
        "format.csv-boxes": _("CSV, a row for each box"),
        "format.masks": _("Masks as PNG images"),
        "format.tfrecord": "TFRecord",
        "format.voc": "Pascal VOC (XML)",
        "format.coco": "COCO (JSON)",
        "format.labelme": "LabelMe (JSON)",
        "format.cvat": "CVAT (XML)",
        "format.labelstudio": "Label Studio (JSON)",
        "format.yolo": "YOLO (TXT)",
        "format.createml": "Create ML (JSON)",
        "format.huggingface": "Hugging Face (JSON)",
        "format.via": "VGG Image Annotator (JSON)",
    }


def _name_history() -> dict[str, str]:
    return {
        "history.help": _("Everything that was done, newest first. Nothing is ever deleted from here."),
        "history.empty": _("Nothing was done yet."),
        "history.more": _("Show more"),
        "history.photo": _("a photo"),
        "history.restore": _("Restore to here"),
        "history.restore_title": _("Restore the project"),
        "history.restore_help": _(
            "All classes and labels become what they were at {moment}, also those of others. What was done since "
            "stays in this list, and you can undo the restore."
        ),
        "history.restore_do": _("Restore"),
        "history.restored.one": _("{count} change was taken back."),
        "history.restored.other": _("{count} changes were taken back."),
        "history.same": _("The project was the same then; nothing was changed."),
        "did.undo": _("undid something"),
        "did.redo": _("did something again"),
        "did.restore": _("restored an earlier state"),
        "did.import": _("imported labels"),
        "did.photo.removed": _("removed photos or brought them back"),
        "did.photo.classes": _("gave a class"),
        "did.photo.split": _("assigned a split"),
        "did.photo.flag": _("changed the flag"),
        "did.photo.state": _("changed the state"),
        "did.photo.change": _("changed"),
        "did.shape.add": _("added a shape"),
        "did.shape.remove": _("removed a shape"),
        "did.shape.class": _("changed the class of a shape"),
        "did.shape.change": _("changed a shape"),
        "did.class.add": _("added the class {name}"),
        "did.class.name": _("renamed a class: {name}"),
        "did.class.colour": _("changed the colour of {name}"),
        "did.class.key": _("changed the key of {name}"),
        "did.class.position": _("moved the class {name}"),
        "did.class.merge": _("merged the class {name}"),
        "did.class.remove": _("deleted the class {name}"),
        "did.class.revive": _("brought back the class {name}"),
        "did.class.change": _("changed the class {name}"),
        "did.comment.add": _("commented"),
        "did.comment.remove": _("removed a comment"),
        "did.comment.done": _("settled a comment"),
        "did.comment.change": _("changed a comment"),
    }
