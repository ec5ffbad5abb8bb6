"""Attempts as Jobs of a Kubernetes cluster.

    manifest      what is created: one Job and one Secret for each attempt
    pod_agent     what runs in its pod: fetch, work, deliver
    diagnosis     what a pod's status means, and which waiting is hopeless
    parcel        the workspace, packed for the way there and unpacked on the way back
    transfer      its parcels on their way, by the attempt's door
    cluster       the one that speaks to the API server
    retry         waiting for it while it is away
    pod_watch     what is known of a Job's pod
    log_follower  what its work prints
    crew          the pods beside its own, where it has many
    work          the life of one attempt: begin or adopt, follow, end
    executor      the door: ready or not, a work for each attempt, what is left of them

Nothing here imports the client before a runner is configured for it (`executor.kubernetes.cluster`).
"""
