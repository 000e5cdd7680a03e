"""Invented people, places and movements: nothing here can belong to a real person."""
