"""The words of the studio's frame, of its first steps, and of what may go wrong."""

from __future__ import annotations

from lince.i18n import _
from lince.studio import people_texts


def translate() -> dict[str, str]:
    """Return the words in the current language, by key."""
    return {
        **_name_frame(),
        **_name_faults(),
        **_name_unsaved(),
        **_name_start(),
        **_name_intake(),
        **_name_tour(),
        **people_texts.translate(),
    }


def _name_frame() -> dict[str, str]:
    return {
        "close": _("Close"),
        "cancel": _("Cancel"),
        "loading": _("Loading…"),
        "page.gallery": _("Photos"),
        "page.classes": _("Classes"),
        "page.export": _("Export"),
        "page.history": _("History"),
        "page.start": _("Add photos"),
        "page.photo": _("Photo"),
        "photo.previous": _("Previous"),
        "photo.next": _("Next"),
        "top.skip": _("Skip to the content"),
        "top.pages": _("Pages"),
        "top.progress": _("{share}% done"),
        "top.progress_title": _("{done} of {total} photos done; {skipped} skipped"),
        "top.people": _("Here now: {names}"),
        "top.language": _("Language"),
        "top.theme": _("Colours: {theme}"),
        "top.menu": _("Menu"),
        "top.help": _("Help"),
        "theme.system": _("as the system"),
        "theme.light": _("light"),
        "theme.dark": _("dark"),
        "saved.saved": _("saved"),
        "saved.saving.one": _("saving {count}"),
        "saved.saving.other": _("saving {count}"),
        "saved.failed.one": _("not saved: {count}"),
        "saved.failed.other": _("not saved: {count}"),
        "saved.unreachable": _(
            "The studio does not answer. Start lince studio again and leave this page open: it goes on saving by "
            "itself."
        ),
        "saved.wait": _("Leave this page open: it tries again by itself."),
        "help.title": _("Help"),
        "help.keys": _("Keys"),
        "help.key": _("Key"),
        "help.does": _("What it does"),
        "help.saved": _(
            "Everything is saved at once; there is no button for it. The history shows what was done, and leads back."
        ),
    }


def _name_faults() -> dict[str, str]:
    return {
        "error.unreachable": _("The studio does not answer. Is it still running in the terminal?"),
        "error.failed": _("This did not work. Try again."),
        "connection.lost": _(
            "The connection to the studio is lost. What you do is kept in this browser, and saved when it is back."
        ),
        "connection.refused": _(
            "This browser has no access any more. Open the address that lince studio printed in the terminal; what "
            "is not saved yet is kept here."
        ),
        "connection.outdated": _("lince was updated. Load the page again to use the new version; nothing is lost."),
        "connection.reload": _("Load again"),
        "newer.title": _("A project of a newer lince"),
        "newer.shown": _(
            "This project was last written by lince {version}, and this is lince {own}: it shows the project and "
            "changes nothing in it. To go on labelling, install lince {version} or a later one, then start the studio "
            "again."
        ),
        "newer.shown_unknown": _(
            "This project was written by a newer lince than this one, {own}, which shows it and changes nothing in it. "
            "To go on labelling, install the newest lince, then start the studio again."
        ),
        "obstacle.no_access": _("No access yet"),
        "obstacle.no_access_help": _(
            "Open the address that lince studio printed in the terminal: it lets this browser in."
        ),
        "obstacle.no_server": _("The studio does not answer"),
        "obstacle.no_server_help": _("Start it again in the terminal: lince studio. This page goes on by itself then."),
        "obstacle.failed": _("The project cannot be shown"),
        "obstacle.failed_help": _("Look at the terminal in which lince studio runs: it says more."),
        "obstacle.again": _("Try again"),
    }


def _name_unsaved() -> dict[str, str]:
    return {
        "unsaved.waiting": _("Not saved yet"),
        "unsaved.count.one": _(
            "{count} change is not saved yet. It is kept in this browser; filters, counts and exports do not hold it."
        ),
        "unsaved.count.other": _(
            "{count} changes are not saved yet. They are kept in this browser; filters, counts and exports do not hold "
            "them."
        ),
        "unsaved.photo": _("photo {id}"),
        "unsaved.refused": _("Could not be saved"),
        "unsaved.conflicts.one": _(
            "{count} change could not be saved as it was made. It is kept here until you decide; open the photo:"
        ),
        "unsaved.conflicts.other": _(
            "{count} changes could not be saved as they were made. They are kept here until you decide; open the photo:"
        ),
        "unsaved.class": _("The class “{name}” could not be saved."),
        "unsaved.drop": _("Drop my change"),
        "unsaved.act": _("Something that you did before this page was closed could not be done."),
        "unsaved.seen": _("Understood"),
    }


def _name_start() -> dict[str, str]:
    return {
        "start.title": _("Label your photos"),
        "start.title_more": _("Add photos"),
        "start.lead": _("In three steps to labelled photos. Everything stays on this machine."),
        "start.task": _("What should a model recognise?"),
        "start.task_change": _("There are labels already. Those of the other kind are kept, but not exported."),
        "start.photos": _("Photos"),
        "start.classes": _("Classes"),
        "start.classes_help": _("The names of what you want to tell apart, such as cat and dog."),
        "start.classes_add": _("Name the classes"),
        "start.classes_edit": _("Change the classes"),
        "start.label": _("Start labelling"),
        "task.classification": _("What a photo shows"),
        "task.classification_help": _("One class for each whole photo."),
        "task.detection": _("Where things are"),
        "task.detection_help": _("Boxes or outlines around each thing, each with a class."),
        "sample.classification": _("No photos at hand? Try it with 40 handwritten digits."),
        "sample.detection": _("No photos at hand? Try it with 12 pictures of drawn shapes."),
        "sample.add": _("Add the sample"),
    }


def _name_intake() -> dict[str, str]:
    return {
        "add.drop": _("Drop photos, folders, zip archives or videos here"),
        "add.files": _("Choose photos"),
        "add.folder": _("Folder of this machine"),
        "add.folder_help": _("The photos stay where they are and are never changed."),
        "add.folder_add": _("Add its photos"),
        "add.zip": _("Zip archive"),
        "add.video": _("Video"),
        "add.video_file": _("Video file"),
        "add.video_every": _("Seconds between two photos"),
        "add.video_changed": _("Only where the picture has changed"),
        "add.video_help": _("The photos taken from the video are copied into the project."),
        "add.video_add": _("Take the photos"),
        "add.camera": _("Camera"),
        "add.labels": _("Labelled data set"),
        "add.labels_help": _(
            "A folder with photos and labels in any format that lince reads: YOLO, COCO, VOC, folders by class and "
            "others. The photos stay where they are."
        ),
        "add.labels_add": _("Import"),
        "add.working": _("Adding…"),
        "add.progress": _("{done} of {total}"),
        "add.added.one": _("{count} photo added"),
        "add.added.other": _("{count} photos added"),
        "add.known.one": _("{count} photo was here already"),
        "add.known.other": _("{count} photos were here already"),
        "add.kept.one": _("{count} photo had labels here, and keeps them"),
        "add.kept.other": _("{count} photos had labels here, and keep them"),
        "add.imported.one": _("{count} label imported; new classes: {classes}"),
        "add.imported.other": _("{count} labels imported; new classes: {classes}"),
        "add.rejected.one": _("{count} cannot be used:"),
        "add.rejected.other": _("{count} cannot be used:"),
        "add.more": _("and {count} more"),
        "folder.path": _("Path of the folder"),
        "folder.list": _("Folders in {path}"),
        "folder.up": _("up"),
        "folder.format": _("Format of the labels"),
        "folder.format_any": _("recognise it"),
        "folder.none": _("There are no folders in it."),
        "folder.photos.one": _("{count} photo directly in this folder"),
        "folder.photos.other": _("{count} photos directly in this folder"),
        "camera.picture": _("What the camera sees"),
        "camera.take": _("Take a photo"),
        "camera.taken.one": _("{count} photo taken"),
        "camera.taken.other": _("{count} photos taken"),
        "camera.insecure": _("Browsers open the camera only on this machine itself or over https."),
        "camera.refused": _("The camera was refused. Allow it beside the address of the page, and try again."),
        "camera.none": _("No camera was found."),
        "camera.broken": _("The camera shows nothing. Perhaps another program uses it."),
    }


def _name_tour() -> dict[str, str]:
    return {
        "tour.show": _("Show the tour"),
        "tour.title": _("Step {step} of {count}"),
        "tour.next": _("Next"),
        "tour.back": _("Back"),
        "tour.skip": _("Skip the tour"),
        "tour.end": _("Begin"),
        "tour.photos": _("Bring your photos"),
        "tour.photos_text": _(
            "Drop them on the page, or name a folder. Photos in a folder stay where they are and are never changed."
        ),
        "tour.label": _("Label them"),
        "tour.label_text": _(
            "Give each photo its class with one key, or draw boxes around what it shows. Everything is saved at "
            "once, and everything can be undone."
        ),
        "tour.use": _("Use the labels"),
        "tour.use_text": _(
            "Train a model with lince, or export to YOLO, COCO, VOC and others. You see first what a format would lose."
        ),
    }
