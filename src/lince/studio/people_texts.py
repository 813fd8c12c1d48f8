"""The words of signing in, and of the page of the people."""

from __future__ import annotations

from lince.i18n import _


def translate() -> dict[str, str]:
    """Return the words in the current language, by key."""
    return {
        "signin.title": _("Sign in"),
        "signin.help": _("An owner of the project gives you a name and a password."),
        "signin.again": _("Sign in again, {name}, to go on. What is not saved yet is kept in this browser."),
        "signin.name": _("Name"),
        "signin.password": _("Password"),
        "signin.enter": _("Sign in"),
        "page.people": _("People"),
        "people.me": _("You are {name}; your role: {role}."),
        "people.leave": _("Sign out"),
        "people.change_password": _("Change my password"),
        "people.old_password": _("Present password"),
        "people.new_password": _("New password"),
        "people.password_of": _("New password of {name}"),
        "people.password_help": _("8 letters or more, for example a sentence that only you know."),
        "people.no_password": _("(cannot sign in: no password)"),
        "people.set": _("Set the password"),
        "people.saved": _("The new password of {name} is set."),
        "people.owners_only": _("Owners of the project add people and choose their roles."),
        "people.local": _(
            "Only this machine reaches the studio now, and whoever sits at it needs no password. To let others in, add "
            "an owner and other people here, end the studio, and start it with:"
        ),
        "people.add": _("Add a person"),
        "people.role": _("Role"),
        "people.role_of": _("Role of {name}"),
        "people.remove": _("Remove"),
        "people.remove_title": _("Remove {name} from the project?"),
        "people.remove_help": _("Labels and history stay. The person can no longer sign in."),
        "people.roles": _("What each role may do"),
        "role.reader": _("reader"),
        "role.reader_help": _("Looks at photos, labels and history."),
        "role.labeller": _("labeller"),
        "role.labeller_help": _("Also adds photos, labels them, and exports a zip archive."),
        "role.reviewer": _("reviewer"),
        "role.reviewer_help": _("Also changes classes and splits, and removes photos from the project."),
        "role.owner": _("owner"),
        "role.owner_help": _(
            "Also chooses the task, brings the whole project back to a moment, and decides who takes part."
        ),
    }
