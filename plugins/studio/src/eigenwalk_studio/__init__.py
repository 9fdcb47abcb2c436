"""The studio: a page in the browser where one points at what is to hold, and walks.

look       what is seen of a walk at one moment
state      what is on the screen: frozen data, and the acts that change it
history    the states one after another: undo, redo, saved and opened as JSON
acts       what a person can do, by name
session    one person's history, and what the engine does for it
library    what sessions share to look at, and the thread that looks
kept       what is kept in memory, within so many bytes
engine     the thread that walks, with what is in the library
turns      whose walk is taken on next
worker     a thread that looks or measures, and is left alone where it hangs
walks      one walk in its folder, a waypoint at a time
pointing   what lies under a click, as expressions of masks
forms      an expression as a form, and a form as an expression
trust      what a visitor may open
disk       what is saved, within so many bytes
view       a session as HTML, all of it escaped
guard      what reaches gradio
server     gradio's page and what it calls
command    the command line

The browser knows nothing: it sends acts (JSON) and puts the HTML that comes back in place of what it shows, so that all
of the above is tested without one. `session`, `state`, `history`, `forms`, `trust`, `disk` and `view`
import no torch and no gradio.
"""
