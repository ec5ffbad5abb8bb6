"""What runs inside the sandbox around the tools. There it is called `control_room_validation`.

__main__   unpack, survey, every tool, verdict, report          request    what the runner asks for
unpack     an artifact -> files                                 survey     files -> what is to be checked
tool       how a program is run, and what it may not do         tools      one module per language
finding    what tools say, in one form                          sarif      the report
verdict    passed, failed or inconclusive                       seal       why the report can be believed
"""
