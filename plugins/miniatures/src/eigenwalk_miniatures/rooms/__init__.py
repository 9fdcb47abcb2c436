"""The miniature `rooms`: living rooms, one sofa in each."""
