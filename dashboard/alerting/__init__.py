"""Alerts and events to people: routes, messages, channels, and the service that sends.

routes        who gets what, when: the file that `ALERT_ROUTES` names
wording       what a message says
channels      mail, apprise, webhook, MQTT
dispatcher    what came in becomes entries; entries that are due become messages
receiver      Alertmanager's webhook
notifier      one message through a channel, from a task or a bay's file
"""
