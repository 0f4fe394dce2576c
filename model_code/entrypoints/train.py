"""Entry point of a training job: the packaged code is beside this file."""

from model_code.failure import told_in, training_file

with told_in(training_file()):
    from model_code.train import main

    main()
