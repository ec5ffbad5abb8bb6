"""`/storage/v1`: the part of Supabase Storage that its official clients use most.

Who may do what is decided by the policies on `storage.objects`, under the caller's role; bytes lie in
files that are named by random versions, never by anything a client said.
"""
