"""Turns a scope into a plan: a graph of resources, each with an action and a reason. Planning only reads."""
